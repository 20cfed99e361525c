"""What checks the annotations of talkinghead while the tests run: beartype, with an int allowed where a float is asked."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
