"""app: the web page."""

import ipaddress
import logging
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from talkinghead.commands.options import Verb, ranged
from talkinghead.errors import UserError

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead app                                  (opens http://127.0.0.1:7860)
talkinghead app --folder people --port 8000
talkinghead app --host 0.0.0.0 --password SECRET   (for others in the network; name: talkinghead)
"""
NAME = "talkinghead"
"""Whom the page asks a password of."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Serve the web page: photos in, an avatar and clips out, in a browser. It needs the [app] extra.

    Only this machine reaches it, unless --host says otherwise.
    """

    folder: Path = Path("~/talkinghead")
    """Where avatars and clips are kept."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for everybody in the network, with --password."""
    port: int = ranged(7860, least=1, most=65535)
    """Port to listen at."""
    password: str | None = None
    """Asked of everybody (user name: talkinghead); needed where others reach the page."""
    largest_upload: int = ranged(500, least=1)
    """Megabytes that a file may have."""
    steps: int | None = ranged(None, least=0)
    """Steps of tuning an avatar; a default that suits the photos."""
    open: bool = True
    """Open the page in the browser."""

    def __post_init__(self) -> None:
        if self.password is not None and not self.password:
            raise UserError("--password is empty; give one, or leave it out.")
        if self.password is None and not is_loopback(self.host):
            raise UserError(f"--host is {self.host}, which others can reach; give --password as well.")


VERB = Verb("app", Options, examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    serve(*VERB.parse(argv))


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches an address."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def serve(options: Options) -> None:
    """Listen until Ctrl-C.

    Raises:
        UserError: if gradio is absent, the folder cannot be used, or the port is taken.
    """
    for name, value in (("GRADIO_ANALYTICS_ENABLED", "False"), ("HF_HUB_OFFLINE", "1"), ("DO_NOT_TRACK", "1")):
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="talkinghead-app-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        try:
            import gradio as gr
        except ImportError as error:
            fix = f'{sys.executable} -m pip install "talkinghead[app]"'
            raise UserError(f"the page needs gradio, which is not installed: {fix}") from error
        from talkinghead.app.jobs import Jobs
        from talkinghead.app.library import Library
        from talkinghead.app.page import CSS, build

        library, jobs = Library(options.folder.expanduser().resolve()), Jobs()
        page = build(library, jobs, steps=options.steps)
        try:
            _, address, _ = page.queue(default_concurrency_limit=8).launch(
                server_name=options.host,
                server_port=options.port,
                auth=None if options.password is None else (NAME, options.password),
                allowed_paths=[str(library.folder)],
                max_file_size=f"{options.largest_upload}mb",
                inbrowser=options.open,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                ssr_mode=False,
                theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
                css=CSS,
            )
        except OSError as error:
            raise UserError(f"--port {options.port} cannot be listened at ({error}); give another.") from error
        log.info("%s is the page; avatars and clips are kept in %s; Ctrl-C ends it", address, library.folder)
        try:
            page.block_thread()
        finally:
            jobs.close()
            page.close()
