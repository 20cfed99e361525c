"""What clips say of how they were made: a line in the file, and a signed statement (C2PA) that programs can check.

* certificate: Who signs: the user's own certificate, or one that is made when it is first needed.
* origin: What a clip says of how it was made, written into it when it is finished.
* statement: What a file states of its origin, read and checked.
"""
