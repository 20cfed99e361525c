"""What checks the annotations while the tests run: beartype, with a whole number allowed where a float is asked."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
