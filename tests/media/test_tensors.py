"""The one reader of our safetensors files."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from talkinghead.media.tensors import read_tensors


def test_tensors_and_header_come_back(tmp_path):
    save_file({"a": np.arange(3.0)}, tmp_path / "a", metadata={"format": "ours", "more": "yes"})
    tensors, header = read_tensors(tmp_path / "a", "ours")
    assert tensors["a"].tolist() == [0, 1, 2]
    assert header == {"format": "ours", "more": "yes"}
    assert torch.is_tensor(read_tensors(tmp_path / "a", "ours", framework="pt")[0]["a"])


def test_what_is_wrong_is_said(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "bare")
    save_file({"a": np.zeros(1)}, tmp_path / "other", metadata={"format": "theirs"})
    torch.save({"a": 1}, tmp_path / "pickle")
    for name, reason in (
        ("bare", "holds no format, not ours"),
        ("other", "holds theirs, not ours"),
        ("pickle", "not a readable"),
        ("absent", "not a readable"),
        (".", "not a readable .*Is a directory"),
    ):
        with pytest.raises(ValueError, match=reason):
            read_tensors(tmp_path / name, "ours")
