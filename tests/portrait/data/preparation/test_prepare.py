"""Videos -> shards: what is kept and why not, interruptions, numbers of workers, identities, the output folder."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from talkinghead.errors import UserError
from talkinghead.face.detection.dlib import DlibDetector
from talkinghead.face.landmarks import interocular
from talkinghead.face.track import FaceTrack
from talkinghead.media.collection import identity_of, read_listing
from talkinghead.media.image import read_image
from talkinghead.media.video import VideoWriter
from talkinghead.portrait.data.preparation.clips import process_clip
from talkinghead.portrait.data.preparation.cropping import read_part, split_zooms
from talkinghead.portrait.data.preparation.prepare import find_clips, prepare
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings
from talkinghead.portrait.data.shards import Shards
from talkinghead.testing.synthetic import Pose, draw_person, random_motion, write_clip

SETTINGS = PrepareSettings(size=64, min_frames=4, min_confidence=0.5)


def write_frames(path: Path, frames) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=Fraction(25)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def make_clips(folder: Path, people: int = 3) -> Path:
    """Drawn people, one clip each."""
    for person in range(1, people + 1):
        path = folder / f"person{person}" / "talk.mp4"
        path.parent.mkdir(parents=True)
        write_clip(path, person, frames=16, size=128, sound=False)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return make_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def shards(clips, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("out") / "shards"
    prepare(find_clips(clips), output, settings=SETTINGS, workers=0)
    return output


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of the shards (the report holds times and so differs)."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".json"))
    return {name: (folder / name).read_bytes() for name in names if name != "report.json"}


def test_people_become_tracks(shards):
    tracks = list(Shards(shards))
    assert [track.identity for track in tracks] == ["person1", "person2", "person3"]
    assert [track.video for track in tracks] == [f"person{i}/talk.mp4" for i in (1, 2, 3)]
    for track in tracks:
        assert len(track) >= 6
        assert track.frames([0]).shape == (1, 64, 64, 3)
        assert np.allclose(np.diff(track.times), 0.08, atol=1e-6)
        assert (track.confidence >= 0.5).all()


def test_landmarks_lie_on_the_face_of_the_crop(shards):
    """In the drawn clip the crop is nearly the frame, so that its landmarks are nearly the drawn ones."""
    for person, track in enumerate(Shards(shards), start=1):
        poses = random_motion(16, seed=person)
        drawn = np.stack([draw_person(person, poses[round(at * 25)], size=128)[1] for at in track.times])
        relative = [
            (one - one.mean(1, keepdims=True)) / interocular(one)[:, None, None] for one in (track.landmarks, drawn)
        ]
        assert np.abs(relative[0] - relative[1]).mean() < 0.08
        darkest = [frame[8:56, 8:56].sum(-1).min() for frame in track.frames()]
        assert max(darkest) < 250  # pupils and lips are there


def test_the_report_and_the_sheet_show_every_clip(shards):
    report = json.loads((shards / "report.json").read_text())
    assert report["totals"]["clips_kept"] == report["totals"]["identities_kept"] == 3
    assert report["totals"]["frames_kept"] == sum(len(track) for track in Shards(shards))
    assert report["settings"]["size"] == 64
    for line in report["clips"]:
        assert (line["fate"], line["why"], line["faces"], line["tracks_kept"]) == ("kept", "", 1, 1)
        assert line["seconds"] == pytest.approx(0.64)
        assert line["tracks"][0]["fate"] == "kept"
    assert read_image(shards / "contact_sheet.png").shape[1] > 3 * 4 * 64
    assert not (shards / ".parts").exists()


def test_bad_files_are_lines_of_the_report(tmp_path, clips):
    folder = tmp_path / "mixed"
    shutil.copytree(clips / "person1", folder / "good")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mov").write_text("no video")
    (folder / "notes.txt").write_text("not looked at")
    whole = (clips / "person1" / "talk.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: whole.index(b"mdat") + 4])
    (folder / "headless.mp4").write_bytes(whole[len(whole) // 2 :])
    soundfile.write(folder / "sound.wav", np.zeros(1600), 16000)
    (folder / "sound.wav").rename(folder / "sound.mp4")
    write_frames(folder / "noface.mp4", [np.full((96, 96, 3), 30 * i, np.uint8) for i in range(6)])
    face = draw_person(1, Pose(), size=128)[0]
    write_frames(folder / "one.mp4", [face])
    write_frames(folder / "short.mp4", [face] * 5)
    small = np.full((128, 192, 3), 200, np.uint8)
    small[32:112, 32:112] = draw_person(1, Pose(), size=80)[0]
    write_frames(folder / "small.mp4", [small] * 10)
    records = prepare(find_clips(folder), tmp_path / "out", settings=SETTINGS, workers=0)
    why = {record.video: record.why for record in records}
    assert why == {
        "cut.mp4": "no frame can be decoded; the file is damaged or cut off",
        "empty.mp4": "the file is empty (0 bytes); give a video file",
        "good/talk.mp4": "",
        "headless.mp4": why["headless.mp4"],
        "noface.mp4": "no face was found",
        "one.mp4": "it has only 1 frame",
        "short.mp4": "only 3 frames with sure landmarks in the picture, under 4",
        "small.mp4": why["small.mp4"],
        "sound.mp4": "there is no video stream in it",
        "text.mov": why["text.mov"],
    }
    assert "under 64 px" in why["small.mp4"]
    assert "not a media file" in why["text.mov"]
    assert why["headless.mp4"]
    lines = json.loads((tmp_path / "out" / "report.json").read_text())["clips"]
    assert {line["video"]: line["why"] for line in lines} == why
    assert len(Shards(tmp_path / "out")) == 1


def test_an_empty_result_is_an_error_with_a_report(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"no face was kept from the 1 videos; .*report\.json says why"):
        prepare(find_clips(tmp_path / "in"), tmp_path / "out", workers=0)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["totals"]["clips_kept"] == 0
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_workers_do_not_change_the_bytes(tmp_path, clips, shards):
    prepare(find_clips(clips), tmp_path / "two", settings=SETTINGS, workers=2)
    assert contents(tmp_path / "two") == contents(shards)


def test_an_interrupted_run_goes_on(tmp_path, clips, shards):
    seen: list[str] = []

    def stop(record, _size):
        seen.append(record.video)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0, progress=stop)
    assert not (tmp_path / "out" / "index.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / ".parts").glob("*.json")}
    assert len(finished) == 2
    prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0)
    assert contents(tmp_path / "out") == contents(shards)


def test_a_killed_run_goes_on(tmp_path, clips, shards):
    command = [
        sys.executable,
        "-m",
        "talkinghead",
        "prepare",
        str(clips),
        "-o",
        str(tmp_path / "out"),
        "--workers",
        "1",
    ]
    options = ["--size", "64", "--min-frames", "4", "--min-confidence", "0.5"]
    process = subprocess.Popen(command + options, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out" / ".parts").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0)
    assert contents(tmp_path / "out") == contents(shards)


def test_a_damaged_record_is_made_again(tmp_path, clips, shards):
    with pytest.raises(KeyboardInterrupt):
        prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0, progress=_interrupt)
    (record,) = (tmp_path / "out" / ".parts").glob("*.json")
    record.write_text("{")
    prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0)
    assert contents(tmp_path / "out") == contents(shards)


def _interrupt(_record, _size):
    raise KeyboardInterrupt


class Deadly(Clip):
    """A clip whose arrival ends the process, as a crashing decoder does."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_file_that_kills_its_process_is_a_line_of_the_report(tmp_path, clips):
    found = find_clips(clips)
    deadly = [found[0], Deadly(**vars(found[1])), found[2]]
    records = prepare(deadly, tmp_path / "out", settings=SETTINGS, workers=1)
    assert [record.fate for record in records] == ["kept", "rejected", "kept"]
    assert "crash" in records[1].why


def test_finished_shards_are_kept_unless_they_may_go(tmp_path, clips):
    shutil.copytree(clips / "person1", tmp_path / "in" / "anna")
    prepare(find_clips(tmp_path / "in"), tmp_path / "out", settings=SETTINGS, workers=0)
    with pytest.raises(UserError, match="holds shards; give another output or --overwrite"):
        prepare(find_clips(tmp_path / "in"), tmp_path / "out", settings=SETTINGS, workers=0)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    again = PrepareSettings(size=32, min_frames=4, min_confidence=0.5)
    prepare(find_clips(tmp_path / "in"), tmp_path / "out", settings=again, workers=0, overwrite=True)
    assert Shards(tmp_path / "out")[0].side == 32
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_folder_with_other_things_is_left_alone(tmp_path, clips):
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(UserError, match=r"holds other things \(thesis\.doc\)"):
        prepare(find_clips(clips), tmp_path, workers=0)
    with pytest.raises(UserError, match=r"thesis\.doc is a file; give a new folder"):
        prepare(find_clips(clips), tmp_path / "thesis.doc", workers=0)
    assert (tmp_path / "thesis.doc").read_text() == "precious"


@pytest.mark.parametrize(
    ("video", "identity"),
    [
        ("id10017/utR3Fl5bFqA/00001.mp4", "id10017"),
        ("dev/mp4/id00012/abc/1.mp4", "id00012"),
        ("anna/one.mp4", "anna"),
        ("anna/monday/one.mp4", "anna"),
        ("alone.mp4", "alone"),
    ],
)
def test_folders_say_who_it_is(video, identity):
    assert identity_of(video) == identity


def test_a_csv_says_who_it_is(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "who.csv").write_text("\ufeffpath,split,person\na.mp4,train,anna\nb.mp4,train,bert\n", encoding="utf-8")
    assert [clip.identity for clip in find_clips(tmp_path, tmp_path / "who.csv")] == ["anna"]
    (tmp_path / "c.mp4").touch()
    with pytest.raises(UserError, match=r"1 videos have no line in it, c\.mp4"):
        find_clips(tmp_path, tmp_path / "who.csv")


def test_a_csv_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_listing(tmp_path / "absent.csv")
    (tmp_path / "a.csv").write_text("name,age\nx,1\n")
    with pytest.raises(UserError, match="it has name, age"):
        read_listing(tmp_path / "a.csv")


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UserError, match="no video in it"):
        find_clips(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find_clips(tmp_path / "absent")


def test_a_zoom_cuts_the_track():
    face = draw_person(1)[1]
    sizes = np.concatenate([np.full(20, 100), np.linspace(100, 220, 20), np.full(20, 220)])
    landmarks = (face[None] * sizes[:, None, None]).astype(np.float32)
    track = FaceTrack(landmarks, np.ones(60, np.float32), np.arange(60), np.arange(60) / 12.5)
    parts = split_zooms(track)
    assert len(parts[0]) > 25
    assert sum(len(part) for part in parts) == 60
    for part in parts:
        heights = np.ptp(part.landmarks_px[..., 1], axis=1)
        assert heights.max() < 2 * heights.min()


def test_a_clips_pictures_are_not_held_in_memory(tmp_path, clips, monkeypatch):
    monkeypatch.setattr("talkinghead.portrait.data.preparation.cropping.encode_jpeg", lambda *_: bytes(5_000_000))
    clip = Clip(clips / "person1" / "talk.mp4", "talk.mp4", "person1")
    detector = DlibDetector()
    tracemalloc.start()
    try:
        record, _ = process_clip(clip, SETTINGS, detector, tmp_path / "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert record.frames_kept >= 6
    assert peak < 4 * 5_000_000
    part = read_part(tmp_path / "x.0.safetensors")
    assert len(part.jpegs) == part.offsets[-1] == record.frames_kept * 5_000_000


def test_what_an_interruption_left_of_a_clip_is_written_over(tmp_path, clips):
    clip = Clip(clips / "person1" / "talk.mp4", "talk.mp4", "person1")
    (tmp_path / "x.0.jpegs").write_bytes(b"half a picture")
    process_clip(clip, SETTINGS, DlibDetector(), tmp_path / "x")
    part = read_part(tmp_path / "x.0.safetensors")
    assert part.frames().shape == (len(part), 64, 64, 3)


def test_a_damaged_part_says_what_to_do(tmp_path, clips):
    (tmp_path / "x.0.safetensors").write_bytes(b"no tensors")
    (tmp_path / "x.0.jpegs").write_bytes(b"no pictures")
    with pytest.raises(UserError, match=f"delete {tmp_path}"):
        read_part(tmp_path / "x.0.safetensors")
    clip = Clip(clips / "person1" / "talk.mp4", "talk.mp4", "person1")
    process_clip(clip, SETTINGS, DlibDetector(), tmp_path / "x")
    (tmp_path / "x.0.jpegs").write_bytes(b"no pictures")
    with pytest.raises(UserError, match="11 bytes of pictures"):
        read_part(tmp_path / "x.0.safetensors")


def test_a_file_and_an_impossible_output_are_named(tmp_path, clips, monkeypatch):
    with pytest.raises(UserError, match="talk.mp4 is a file; give the folder"):
        find_clips(clips / "person1" / "talk.mp4")

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(UserError, match="out: the folder cannot be made .No space"):
        prepare(find_clips(clips), tmp_path / "out", settings=SETTINGS, workers=0)
