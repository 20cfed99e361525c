"""Pictures of all kinds read as upright RGB; frames, tensors and sheets."""

import os
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from talkinghead.errors import UserError
from talkinghead.media.image import (
    decode_jpeg,
    decode_photo,
    encode_jpeg,
    frame_to_tensor,
    read_image,
    sheet,
    write_image,
)
from talkinghead.testing.synthetic import draw_person

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


def test_a_gif_gives_its_first_frame(tmp_path):
    first, second = Image.new("RGB", (8, 6), (200, 30, 30)), Image.new("RGB", (8, 6), (30, 30, 200))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert np.abs(read_image(tmp_path / "a.gif").astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".jfif", "JPEG"), (".jpe", "JPEG"), (".avif", "AVIF"), (".webp", "WEBP")]
)
def test_usual_names_are_read(tmp_path, suffix, kind):
    picture = Image.fromarray(draw_person(1, size=64)[0])
    picture.save(tmp_path / f"a{suffix}", format=kind, quality=90)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - np.asarray(picture)).mean() < 8


def test_a_very_large_jpeg_is_decoded_smaller(tmp_path, monkeypatch):
    picture = Image.fromarray(draw_person(1, size=256)[0]).resize((1024, 768))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", quality=95, exif=exif)
    monkeypatch.setattr("talkinghead.media.image.MOST_PIXELS", 200_000)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (512, 384, 3)
    expected = cv2.resize(np.rot90(np.asarray(picture), -1), (384, 512), interpolation=cv2.INTER_AREA)
    assert np.abs(read.astype(int) - expected).mean() < 4


def test_a_large_picture_of_another_kind_is_shrunk(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", noise)
    monkeypatch.setattr("talkinghead.media.image.MOST_PIXELS", 40_000)
    assert read_image(tmp_path / "a.png").shape == (150, 200, 3)


def flat_png(path, side: int):
    """A black PNG of any side, written row by row: a few hundred kilobytes at most."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    path = flat_png(tmp_path / "bomb.png", 13_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="bomb.png: the picture has 13000 x 13000 pixels .*scale it to 50 megapixels"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB
    assert Image.MAX_IMAGE_PIXELS  # Pillow's own limit is as it was


def test_what_starts_programs_is_no_photo(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(UserError, match="not a picture"):
        read_image(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(UserError, match="pipe or a device"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_photos_become_ordinary(tmp_path, transfer):
    """White paper (58 % of PQ's range, 75 % of HLG's) becomes white, and grey stays grey."""
    code = {16: 148, 18: 191}[transfer]
    Image.new("RGB", (8, 8), (code, code, code)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"cICP" + bytes([9, transfer, 0, 1])
    at = data.index(b"IDAT") - 4
    (tmp_path / "b.png").write_bytes(
        data[:at] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[at:]
    )
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [code] * 3
    white = read_image(tmp_path / "b.png")[0, 0].astype(int)
    assert white.min() > 240
    assert np.ptp(white) <= 1


def test_heic_is_read(cases):
    assert np.abs(read_image(cases / "photo.heic").astype(int) - read_image(cases / "upright.jpg")).mean() < 4


def test_a_photo_in_a_file_of_others_is_looked_at_before_it_is_decoded(monkeypatch):
    encoded = encode_jpeg(draw_person(1, size=64)[0])
    assert np.array_equal(decode_photo(encoded), decode_jpeg(encoded))
    for bad in (b"", b"nothing", encoded[:20]):
        with pytest.raises(ValueError, match="are not a JPEG"):
            decode_photo(bad)
    monkeypatch.setattr("talkinghead.media.image.MOST_PIXELS", 1000)
    with pytest.raises(ValueError, match="64 x 64 pixels are no photo"):
        decode_photo(encoded)
