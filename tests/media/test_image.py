"""Pictures of all kinds read as upright RGB; frames, tensors and sheets."""

import numpy as np
import pytest
import torch
from PIL import Image

from talkinghead.errors import UserError
from talkinghead.media.image import (
    decode_jpeg,
    encode_jpeg,
    frame_to_tensor,
    read_image,
    sheet,
    write_image,
)

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_a_png_reads_back(tmp_path):
    write_image(tmp_path / "a.png", NOISE)
    assert np.array_equal(read_image(tmp_path / "a.png"), NOISE)


def test_exif_turns_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    Image.fromarray(NOISE).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(NOISE, -1))


def test_16_bit_is_scaled_not_cut(tmp_path):
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.shape == (8, 8, 3)
    assert np.abs(read[..., 0].astype(int) - ramp // 257).max() <= 1


def test_transparency_is_laid_over_white(tmp_path):
    clear = np.dstack([NOISE, np.zeros((20, 30), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_other_modes_become_rgb(tmp_path, mode):
    Image.fromarray(NOISE).convert(mode).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").shape == (20, 30, 3)


def test_unreadable_pictures_are_refused_by_name(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    write_image(tmp_path / "whole.png", NOISE)
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    for name, message in (("absent.png", "no such file"), ("text.png", "not a picture"), ("cut.png", "not a picture")):
        with pytest.raises(UserError, match=message) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value)


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.png or \.jpg"):
        write_image(tmp_path / "a.xyz", NOISE)
    assert not list(tmp_path.iterdir())


def test_an_existing_picture_is_kept(tmp_path):
    write_image(tmp_path / "a.png", NOISE)
    with pytest.raises(UserError, match="exists"):
        write_image(tmp_path / "a.png", NOISE)
    write_image(tmp_path / "a.png", NOISE // 2, overwrite=True)


def test_jpeg_keeps_red_red():
    red = np.full((16, 16, 3), (200, 30, 30), np.uint8)
    assert np.abs(decode_jpeg(encode_jpeg(red)).astype(int) - red).max() < 4


def test_bytes_that_are_no_jpeg_are_refused():
    with pytest.raises(ValueError, match="not a JPEG"):
        decode_jpeg(b"nothing of the kind")


def test_a_tensor_holds_the_frame_in_minus_one_to_one():
    tensor = frame_to_tensor(NOISE)
    assert tensor.shape == (3, 20, 30)
    assert tensor.dtype == torch.float32 and -1 <= tensor.min() <= tensor.max() <= 1
    assert np.array_equal(((tensor + 1) * 127.5).round().byte().permute(1, 2, 0).numpy(), NOISE)


def test_a_sheet_holds_its_pictures_where_they_belong():
    small = np.zeros((10, 12, 3), np.uint8)
    plain = sheet([[NOISE, small], [small]])
    assert np.array_equal(plain[:20, :30], NOISE)
    assert (plain[:10, 32:44] == 0).all()
    labelled = sheet([[NOISE, small], [small]], labels=["one", "zwölf"], column_labels=["left", "right"])
    assert labelled.shape[0] > plain.shape[0]
    assert labelled.shape[1] == plain.shape[1]
    assert sheet([]).shape == (1, 1, 3)
