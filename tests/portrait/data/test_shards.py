"""Shards read back what was written, are the same for the same tracks, and refuse what is not safe."""

import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from talkinghead.errors import UserError
from talkinghead.media.image import encode_jpeg
from talkinghead.portrait.data.episodes import EpisodeConfig, Episodes
from talkinghead.portrait.data.shards import INDEX, TRACKS, DamagedTrackError, Shards, Track, write_shards
from talkinghead.testing.synthetic import drawn_track, write_drawn_shards


def assert_same(a: Track, b: Track) -> None:
    for field in fields(Track):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray):
            assert np.array_equal(one, other), field.name
            assert one.dtype == other.dtype, field.name
        elif field.name == "jpegs":
            assert bytes(one) == bytes(other)
        else:
            assert one == other, field.name


def test_shard_reads_back_what_was_written(tmp_path):
    tracks = [drawn_track(person, frames=5 + person) for person in range(4)]
    assert write_shards(iter(tracks), tmp_path / "shards") == 4
    shards = Shards(tmp_path / "shards")
    assert len(shards) == 4
    for written, read in zip(tracks, shards, strict=True):
        assert_same(written, read)
    assert_same(shards[-1], tracks[3])
    assert [track.identity for track in shards[1:3]] == ["person001", "person002"]
    assert shards.identities == [f"person{person:03d}" for person in range(4)]
    assert [about["frames"] for about in shards.about] == [5, 6, 7, 8]


def test_several_chunks_keep_the_order(tmp_path):
    tracks = [drawn_track(person, frames=6) for person in range(6)]
    write_shards(iter(tracks), tmp_path / "shards", chunk_bytes=30_000)
    assert len(list((tmp_path / "shards").glob("chunk-*.bin"))) > 1
    shards = Shards(tmp_path / "shards")
    for i in (5, 0, 3, 1):
        assert_same(shards[i], tracks[i])


def test_a_track_may_be_larger_than_a_chunk(tmp_path):
    tracks = [drawn_track(person, frames=6) for person in range(3)]
    write_shards(iter(tracks), tmp_path / "shards", chunk_bytes=1000)
    for written, read in zip(tracks, Shards(tmp_path / "shards"), strict=True):
        assert_same(written, read)


def test_the_same_tracks_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_drawn_shards(tmp_path / name, people=2)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_tracks_read_from_shards_can_be_written_again(tmp_path):
    """What is read may be a view of the file, which litdata would pickle."""
    write_drawn_shards(tmp_path / "a", people=2)
    write_shards(iter(Shards(tmp_path / "a")), tmp_path / "b")
    for name in ("chunk-0-0.bin", INDEX):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_frames_are_decoded_one_by_one():
    track = drawn_track(1, frames=6, side=48)
    all_frames = track.frames()
    assert all_frames.shape == (6, 48, 48, 3)
    assert np.array_equal(track.frames([4, 1]), all_frames[[4, 1]])
    assert track.frames([]).shape == (0, 48, 48, 3)


def test_a_name_that_is_also_a_file_stays_a_name(tmp_path, monkeypatch):
    """litdata would store the file of that name in its stead."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "person001").mkdir()
    (tmp_path / "person001" / "drawn.mp4").write_bytes(b"x" * 1000)
    write_shards(iter([drawn_track(1)]), tmp_path / "shards")
    assert Shards(tmp_path / "shards")[0].video == "person001/drawn.mp4"


def test_litdata_reads_the_folder(tmp_path):
    from litdata import StreamingDataset

    write_drawn_shards(tmp_path / "shards", people=3)
    samples = list(StreamingDataset(str(tmp_path / "shards")))
    assert sorted(bytes(sample["identity"]) for sample in samples) == [b"person000", b"person001", b"person002"]


def test_other_processes_read_too(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=4)
    shards = Shards(tmp_path / "shards")
    assert shards[0].identity == "person000"  # opened here first
    assert pickle.loads(pickle.dumps(shards))[1].identity == "person001"
    loader = DataLoader(shards, batch_size=None, num_workers=1)  # type: ignore[arg-type]
    assert [track.identity for track in loader] == shards.identities


def test_an_index_out_of_range_is_an_error(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1)
    with pytest.raises(IndexError):
        Shards(tmp_path / "shards")[1]


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no shards here \(index\.json is missing\)"):
        Shards(tmp_path)


def test_a_damaged_index_is_refused(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1)
    for text in ("{", "[]", '{"config": {}}'):
        (tmp_path / "shards" / INDEX).write_text(text)
        with pytest.raises(UserError, match="index is damaged"):
            Shards(tmp_path / "shards")


@pytest.mark.parametrize("text", ["[1]", "null", '[{"identity": "anna"}]'])
def test_a_damaged_list_of_tracks_is_refused(tmp_path, text):
    write_drawn_shards(tmp_path / "shards", people=1)
    (tmp_path / "shards" / TRACKS).write_text(text)
    with pytest.raises(UserError, match="index is damaged"):
        Shards(tmp_path / "shards")


def test_a_shard_of_garbage_is_named(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1)
    chunk = tmp_path / "shards" / "chunk-0-0.bin"
    chunk.write_bytes(b"\xff" * chunk.stat().st_size)
    with pytest.raises(UserError, match="shards: track 0 is damaged .*; run `talkinghead prepare` again"):
        Shards(tmp_path / "shards")[0]


def test_a_shard_that_is_cut_off_or_missing_is_named(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1)
    chunk = tmp_path / "shards" / "chunk-0-0.bin"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(UserError, match="chunk-0-0.bin is cut off"):
        Shards(tmp_path / "shards")
    chunk.unlink()
    with pytest.raises(UserError, match="chunk-0-0.bin is missing"):
        Shards(tmp_path / "shards")


def test_pickled_samples_are_refused_unread(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1)
    path = tmp_path / "shards" / INDEX
    index = json.loads(path.read_text())
    index["config"]["data_format"][0] = "pickle"
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match="'pickle', which is not safe"):
        Shards(tmp_path / "shards")


def spoilt_jpeg(folder):
    """Shards whose second track's first frame is no picture any more."""
    write_drawn_shards(folder, people=2)
    chunk = folder / "chunk-0-0.bin"
    data = bytearray(chunk.read_bytes())
    at = data.index(bytes(Shards(folder)[1].jpegs))
    data[at : at + 200] = bytes(200)
    chunk.write_bytes(bytes(data))
    return folder


def test_a_damaged_frame_is_named_where_it_is_decoded(tmp_path):
    shards = Shards(spoilt_jpeg(tmp_path / "shards"))
    assert len(shards[0].frames()) == len(shards[0])
    with pytest.raises(DamagedTrackError, match=rf"{shards.about[1]['video']}, track 0: frame 0 is damaged"):
        shards[1].frames()


def test_a_damaged_track_is_passed_over_in_training_and_an_error_elsewhere(tmp_path, caplog):
    shards = Shards(spoilt_jpeg(tmp_path / "shards"))
    strict, lenient = (Episodes(shards, EpisodeConfig(shots=2, size=32), skip_damaged=skip) for skip in (False, True))
    drawn = {number: strict.draw(number)[0] for number in range(200)}
    hit = next(n for n, draw in drawn.items() if draw.track == 1 and 0 in (*draw.sources, draw.target))
    fine = next(n for n, draw in drawn.items() if draw.track == 0)
    with pytest.raises(DamagedTrackError, match="frame 0 is damaged"):
        strict[hit]
    assert lenient[hit]["frames"].shape == (3, 32, 32, 3)
    assert lenient.skipped >= 1
    assert "is drawn again (1 so far)" in caplog.text
    assert torch.equal(strict[fine]["frames"], lenient[fine]["frames"])


@pytest.mark.parametrize(
    ("part", "value", "problem"),
    [
        ("offsets", np.array([0, 5, 3]), "offsets has the shape"),
        ("landmarks", np.full((6, 68, 2), np.nan, np.float32), "not finite"),
        ("landmarks", np.full((6, 68, 2), 1e9, np.float32), "a landmark lies at 1e[+]09"),
        ("confidence", np.zeros(3, np.float32), "confidence has the shape"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(part, value, problem):
    frames = [encode_jpeg(np.zeros((8, 8, 3), np.uint8))] * 6
    track = Track(
        b"".join(frames),
        np.cumsum([0, *map(len, frames)]),
        np.zeros((6, 68, 2), np.float32),
        np.ones(6, np.float32),
        np.arange(6.0),
        identity="anna",
        video="anna.mp4",
        track=0,
        side=8,
    )
    assert len(Track.from_sample(track.to_sample()).frames()) == 6
    with pytest.raises(ValueError, match=problem):
        Track.from_sample({**track.to_sample(), part: value})
