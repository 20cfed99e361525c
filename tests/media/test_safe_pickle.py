"""Pickles that hold arrays are read; those that would run something are not."""

import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.media.safe_pickle import load_pickle


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_numbers_and_texts_come_back(tmp_path, protocol):
    content = {
        "anna": {"sentence01": {"audio": np.arange(6, dtype=np.int16), "sample_rate": 22000}},
        "ben": [
            np.float32(0.5),
            "text",
            ("a", 1, None),
            np.asfortranarray(np.arange(6).reshape(2, 3)),
            np.array(["x"]),
        ],
    }
    read = load_pickle(write(tmp_path / "p.pkl", content, protocol))
    assert read["anna"]["sentence01"]["sample_rate"] == 22000
    assert read["anna"]["sentence01"]["audio"].dtype == np.int16
    assert read["anna"]["sentence01"]["audio"].tolist() == list(range(6))
    assert read["ben"][0] == np.float32(0.5)
    assert read["ben"][1:3] == ["text", ("a", 1, None)]
    assert read["ben"][3].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["ben"][4].tolist() == ["x"]


def test_ordered_and_default_dicts_become_plain_ones(tmp_path):
    default = collections.defaultdict(dict)
    default["a"]["b"] = 1
    content = [collections.OrderedDict(x=1), default]
    assert load_pickle(write(tmp_path / "p.pkl", content)) == [{"x": 1}, {"a": {"b": 1}}]


def test_a_pickle_of_python_2_is_read(tmp_path):
    """As numpy 1 and Python 2 wrote an int16 array: protocol 2, the data a byte string."""
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x03U\x02i2K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x01\x00\xff\xfftb."
    )
    (tmp_path / "p.pkl").write_bytes(data)
    assert load_pickle(tmp_path / "p.pkl").tolist() == [1, -1]


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self):
        return os.system, (f"touch {self.touched}",)


def test_nothing_in_a_pickle_is_run(tmp_path):
    path = write(tmp_path / "p.pkl", {"audio": Attack(tmp_path / "touched")})
    with pytest.raises(UserError, match="system, which is not plain data"):
        load_pickle(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x80\x04N"])
def test_a_damaged_pickle_is_said_in_a_sentence(tmp_path, content):
    (tmp_path / "p.pkl").write_bytes(content)
    with pytest.raises(UserError, match="not a pickle of arrays"):
        load_pickle(tmp_path / "p.pkl")


def test_a_missing_pickle_is_said_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_pickle(tmp_path / "p.pkl")


def test_odd_texts_numbers_and_arrays_of_objects_are_refused(tmp_path):
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\ntRS'abcdefgh'\ntR."
    text = b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR."
    array = b"cnumpy.core.numeric\n_frombuffer\n(S'abcdefgh'\ncnumpy\ndtype\n(S'O'\ntR(I1\ntS'C'\ntR."
    for name, data in (("s", scalar), ("t", text), ("a", array)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match="number of the type|text in|array of objects"):
            load_pickle(tmp_path / name)
