"""The error that a user can put right."""


class UserError(Exception):
    """Bad input: one sentence that names the file, the value and the fix. The CLI prints it and exits with 2."""
