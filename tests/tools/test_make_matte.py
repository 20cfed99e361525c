"""`tools/make_matte`: the matte's network from MediaPipe's wheel."""

import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

from talkinghead.errors import UserError

MODEL = b"\x1c\0\0\0TFL3 and so on"
INSIDE = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
TOOL = Path(__file__).parents[2] / "tools" / "make_matte"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec = spec_from_loader("make_matte", SourceFileLoader("make_matte", str(TOOL)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_model_is_found_inside_the_wheel_and_beside_it(tool, tmp_path):
    (tmp_path / "model.tflite").write_bytes(MODEL)
    with zipfile.ZipFile(tmp_path / "mediapipe.whl", "w") as wheel:
        wheel.writestr(INSIDE, MODEL)
    assert tool.read_model(tmp_path / "mediapipe.whl") == tool.read_model(tmp_path / "model.tflite") == MODEL


@pytest.mark.parametrize("content", [None, b"no wheel", {"other.txt": b""}, {INSIDE: b"no model"}])
def test_what_holds_no_model_is_refused(tool, tmp_path, content):
    path = tmp_path / "mediapipe.whl"
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as wheel:
            for name, inside in content.items():
                wheel.writestr(name, inside)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"mediapipe\.whl: no model can be read .* give the wheel mediapipe==0\.10\.14"):
        tool.read_model(path)


def test_an_operator_that_the_network_lacks_is_named(tool):
    with pytest.raises(UserError, match="the model has an operator SOFTMAX"):
        tool.expect(False, "an operator SOFTMAX")
