"""The files that ship with the package, where they lie, and those that are downloaded once.

* downloads: Weights that are downloaded once, with a checksum.
* shipped: Where the files lie that come with this package, and with the packages it needs.
"""
