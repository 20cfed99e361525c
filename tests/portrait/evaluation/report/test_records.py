"""Records come back from their files, and their keys tell settings apart."""

import numpy as np
import pytest

from talkinghead.portrait.evaluation.report.records import Record, fingerprint, record_key
from talkinghead.testing.synthetic import drawn_track


def test_a_record_comes_back_from_its_file(tmp_path):
    values = {"distance": np.arange(3, dtype=np.float32), "ff/ssim": np.ones(3), "copy/ssim": np.zeros(3)}
    Record("anna", "anna/00.mp4", 8, 7, values).save(tmp_path / "records" / "one.npz")
    again = Record.load(tmp_path / "records" / "one.npz")
    assert (again.person, again.video, again.shots, again.sources, again.targets) == ("anna", "anna/00.mp4", 8, 7, 3)
    assert again.methods == ["ff", "copy"]
    assert np.array_equal(again["distance"], values["distance"])


def test_a_record_holding_objects_is_not_read(tmp_path):
    np.savez(tmp_path / "bad.npz", about=np.array([{"code": 1}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Record.load(tmp_path / "bad.npz")


def test_keys_differ_with_any_setting():
    keys = {record_key(head="a", size=64), record_key(head="b", size=64), record_key(head="a", size=128)}
    assert len(keys) == 3
    assert record_key(size=64, head="a") == record_key(head="a", size=64)


def test_fingerprints_differ_between_tracks():
    assert fingerprint(drawn_track(0, frames=3)) == fingerprint(drawn_track(0, frames=3))
    assert fingerprint(drawn_track(0, frames=3)) != fingerprint(drawn_track(1, frames=3))
