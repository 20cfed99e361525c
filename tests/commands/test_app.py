"""Who may reach the page."""

import pytest

from talkinghead.commands.app import Options, is_loopback
from talkinghead.errors import UserError

HOSTS = {"127.0.0.1": True, "::1": True, "localhost": True, "0.0.0.0": False, "192.168.1.4": False, "a.org": False}


@pytest.mark.parametrize(("host", "own"), HOSTS.items())
def test_which_addresses_only_this_machine_reaches(host, own):
    assert is_loopback(host) is own
    if own:
        Options(host=host)
    else:
        with pytest.raises(UserError, match="give --password"):
            Options(host=host)
        Options(host=host, password="secret")


def test_an_empty_password_is_none():
    with pytest.raises(UserError, match="empty"):
        Options(password="")
