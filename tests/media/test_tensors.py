"""The one reader of our safetensors files."""

import json
import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from talkinghead.media.tensors import DEPTH, frame_rate, parse_words, read_tensors, refuse_misfit


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
        ("absent", "there is no such file"),
        (".", "is a folder"),
    ):
        with pytest.raises(ValueError, match=reason):
            read_tensors(tmp_path / name, "ours")


def with_header(path, header, data: bytes = b""):
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


OURS = {"__metadata__": {"format": "ours"}}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({**OURS, "a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}, "a has the shape .*do not fill"),
        ({**OURS, "a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}, "a has the shape"),
        ({**OURS, "a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 6]}}, "a has the shape"),
        ({**OURS, "a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, "a is of the type F8_E4M3"),
        ({**OURS, "a": {"dtype": "F32", "shape": [2], "data_offsets": "no"}}, "does not describe a"),
        ({**OURS, "a": 7}, "does not describe a"),
        ({"__metadata__": {"format": 7}}, "words are no texts"),
        ([], "no table of names"),
        (b'{"a":' + b"[" * 100_000, "lists 100001 deep"),
        (b"\xff\xfe", "not a readable"),
    ],
)
def test_a_header_is_looked_at_before_anything_is_allocated(tmp_path, header, reason):
    with pytest.raises(ValueError, match=reason):
        read_tensors(with_header(tmp_path / "a", header, bytes(8)), "ours")


def test_a_header_longer_than_its_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="not a readable safetensors file, or one that is cut off"):
        read_tensors(tmp_path / "a", "ours")


@pytest.mark.parametrize("framework", ["numpy", "pt"])
def test_half_precision_of_either_kind_is_read(tmp_path, framework):
    values = torch.tensor([[1.5, -2.0], [0.25, 3e5]])
    kinds = {"b": values.bfloat16(), "a": torch.zeros(3, dtype=torch.float64)}
    save_torch(kinds, tmp_path / "a", metadata={"format": "ours"})
    found = read_tensors(tmp_path / "a", "ours", framework=framework)[0]["b"]
    assert np.asarray(found).dtype == np.float32
    assert np.array_equal(np.asarray(found), values.bfloat16().float().numpy())


@pytest.mark.parametrize("framework", ["numpy", "pt"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, framework, value):
    save_file({"a": np.array([1, value, value], np.float32)}, tmp_path / "a", metadata={"format": "ours"})
    with pytest.raises(ValueError, match="2 of the 3 values of a are not finite"):
        read_tensors(tmp_path / "a", "ours", framework=framework)


def test_words_may_not_lie_too_deep():
    deep = '{"a":' * (DEPTH - 1) + "[]" + "}" * (DEPTH - 1)
    assert parse_words(deep)
    with pytest.raises(ValueError, match="33 deep"):
        parse_words(f'{{"b":{deep}}}')
    assert parse_words('{"a": "[[[[{{{{\\"[["}') == {"a": '[[[[{{{{"[['}


@pytest.mark.parametrize(
    ("text", "rate"),
    [("25", 25), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001)), ("1", 1), ("1000", 1000)],
)
def test_rates_are_read_exactly(text, rate):
    assert frame_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "1e99999999", "1/100000000000000000000", "1001", "-5", "nan", "", "1/0", "½"])
def test_a_rate_that_nothing_has_is_refused_at_once(text):
    with pytest.raises(ValueError, match="fps is"):
        frame_rate(text)


def test_a_network_larger_than_its_file_is_never_made():
    with torch.device("meta"):
        wide = torch.nn.Linear(10**6, 10**6)
    with pytest.raises(ValueError, match=r"weight has \(2, 3\), not \(1000000, 1000000\)"):
        refuse_misfit(wide, {"weight": torch.zeros(2, 3), "bias": torch.zeros(10**6)})
    refuse_misfit(torch.nn.Linear(3, 2), torch.nn.Linear(3, 2).state_dict())
