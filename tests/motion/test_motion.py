import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from talkinghead.errors import UserError
from talkinghead.face.crop import to_crop, window_for
from talkinghead.face.landmarks import interocular
from talkinghead.media.video import VideoWriter
from talkinghead.motion.motion import Motion
from talkinghead.motion.retarget import retarget
from talkinghead.testing.synthetic import write_clip


def make_motion(frames: int = 5, *, full: bool = False, fps: Fraction = Fraction(30000, 1001)) -> Motion:
    random = np.random.default_rng(frames)

    def array(*shape: int) -> np.ndarray:
        return random.uniform(0, 1, shape).astype(np.float32)

    if not full:
        return Motion(array(frames, 68, 2), array(frames), fps)
    return Motion(
        array(frames, 68, 2),
        array(frames),
        fps,
        pose=array(frames, 3),
        blendshapes=array(frames, 2),
        blendshape_names=("jawOpen", "eyeBlink_L"),
        vertices=array(frames, 4, 3),
        topology=np.array([[0, 1, 2], [1, 2, 3]]),
        windows=array(frames, 3),
        sound=Path("/somewhere/voice.wav"),
        video=Path("/somewhere/clip.mp4"),
    )


ARRAYS = ("landmarks", "confidence", "pose", "blendshapes", "vertices", "topology", "windows")


@pytest.mark.parametrize("full", [False, True])
def test_a_motion_reads_back_as_it_was_written(tmp_path: Path, full: bool):
    motion, path = make_motion(full=full), tmp_path / "a.motion.safetensors"
    motion.save(path)
    loaded = Motion.load(path)
    for name in ARRAYS:
        here, there = getattr(motion, name), getattr(loaded, name)
        assert (here is None and there is None) or (here.dtype == there.dtype and np.array_equal(here, there))
    for name in ("fps", "blendshape_names", "sound", "video"):
        assert getattr(motion, name) == getattr(loaded, name)


def test_a_motion_of_an_older_version_moves_the_same(old_files: Path):
    motion = Motion.load(old_files / "drawn.motion.safetensors")
    assert (motion.fps, len(motion), motion.confidence.tolist()) == (Fraction(30000, 1001), 6, [1, 1, 0.5, 0, 1, 1])
    assert motion.landmarks[2, 30] == pytest.approx((0.48659, 0.50581), abs=1e-5)
    assert motion.pose[5] == pytest.approx((0.26471, 0.28235, 0.3), abs=1e-5)
    assert motion.blendshape_names == ("jawOpen", "mouthSmileLeft")
    assert motion.blendshapes[5] == pytest.approx((0.90909, 1), abs=1e-5)
    assert motion.vertices.sum() == pytest.approx(25.56)
    assert motion.topology.tolist() == [[0, 1, 2], [0, 1, 3]]
    assert motion.windows[0].tolist() == [63.5, 60, 128]


@given(st.fractions(1, 1000), st.integers(1, 9))
def test_any_rate_and_length_survive_exactly(tmp_path_factory: pytest.TempPathFactory, fps: Fraction, frames: int):
    path = tmp_path_factory.mktemp("motion") / "a.motion.safetensors"
    make_motion(frames, fps=fps).save(path)
    loaded = Motion.load(path)
    assert loaded.fps == fps and len(loaded) == frames
    assert loaded.seconds == pytest.approx(frames / fps)


def test_a_relative_sound_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    motion = Motion(np.zeros((1, 68, 2), np.float32), np.ones(1, np.float32), Fraction(25), sound=Path("voice.wav"))
    motion.save(Path("a.motion.safetensors"))
    assert Motion.load(Path("a.motion.safetensors")).sound == tmp_path / "voice.wav"


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path):
    path = tmp_path / "a.motion.safetensors"
    make_motion(3).save(path)
    with pytest.raises(UserError, match="exists"):
        make_motion(4).save(path)
    assert len(Motion.load(path)) == 3
    make_motion(4).save(path, overwrite=True)
    assert len(Motion.load(path)) == 4


def test_a_file_that_is_absent_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="none.safetensors: there is no such file"):
        Motion.load(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="not a motion file .*is a folder"):
        Motion.load(tmp_path)


def rewritten(
    path: Path, *, arrays: dict | None = None, about: dict | None = None, metadata: dict | None = None
) -> Path:
    """A motion file with parts replaced (a value of None takes the part away)."""
    make_motion(full=True).save(path, overwrite=True)
    content = {**load_file(path), **(arrays or {})}
    facts = {"version": 1, "fps": "25", "blendshape_names": ["a", "b"], "sound": None, "video": None, **(about or {})}
    header = {
        "format": "talkinghead.motion",
        "motion": json.dumps({k: v for k, v in facts.items() if v != "gone"}),
    }
    save_file({k: v for k, v in content.items() if v is not None}, path, metadata={**header, **(metadata or {})})
    return path


def test_the_rewritten_file_is_sound_before_it_is_spoilt(tmp_path: Path):
    assert Motion.load(rewritten(tmp_path / "a.safetensors")).fps == 25


@pytest.mark.parametrize(
    "spoilt",
    [
        {"metadata": {"format": "talkinghead.avatar"}},
        {"metadata": {"motion": "no json"}},
        {"about": {"version": 2}},
        {"about": {"fps": "0"}},
        {"about": {"fps": "-25"}},
        {"about": {"fps": "1/0"}},
        {"about": {"fps": "gone"}},
        {"about": {"blendshape_names": ["a"]}},
        {"arrays": {"landmarks": None}},
        {"arrays": {"confidence": None}},
        {"arrays": {"landmarks": np.zeros((5, 67, 2), np.float32)}},
        {"arrays": {"landmarks": np.full((5, 68, 2), np.nan, np.float32)}},
        {"arrays": {"confidence": np.zeros(4, np.float32)}},
        {
            "arrays": {"landmarks": np.zeros((0, 68, 2), np.float32), "confidence": np.zeros(0, np.float32)}
            | dict.fromkeys(("pose", "blendshapes", "vertices", "windows")),
            "about": {"blendshape_names": []},
        },
        {"arrays": {"pose": np.zeros((5, 4), np.float32)}},
        {"arrays": {"blendshapes": np.zeros((4, 2), np.float32)}},
    ],
    ids=str,
)
def test_a_spoilt_file_is_refused_in_a_sentence(tmp_path: Path, spoilt: dict):
    path = rewritten(tmp_path / "a.safetensors", **spoilt)
    with pytest.raises(UserError, match="a.safetensors: not a motion file"):
        Motion.load(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"\xff" * 64])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "a.motion.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a motion file"):
        Motion.load(path)


def test_a_motion_that_was_not_tracked_has_no_windows():
    with pytest.raises(ValueError, match="not tracked"):
        make_motion().window(0)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"fps": Fraction(0)}, "fps is 0"),
        ({"confidence": np.zeros(4, np.float32)}, "confidence"),
        ({"landmarks": np.full((5, 68, 2), np.inf, np.float32)}, "not finite"),
        ({"blendshape_names": ("jawOpen",)}, "0 blendshapes and 1 names"),
    ],
    ids=["fps", "length", "infinite", "names"],
)
def test_a_motion_that_makes_no_sense_is_refused(broken: dict, says: str):
    fine = make_motion()
    parts = {"landmarks": fine.landmarks, "confidence": fine.confidence, "fps": fine.fps, **broken}
    with pytest.raises((ValueError, TypeError), match=says):
        Motion(**parts)


def test_a_cut_is_the_frames_between():
    motion = make_motion(6, full=True)
    part = motion.cut(2, 5)
    assert len(part) == 3 and part.fps == motion.fps
    assert np.array_equal(part.landmarks, motion.landmarks[2:5]) and np.array_equal(part.pose, motion.pose[2:5])
    assert np.array_equal(part.vertices, motion.vertices[2:5]) and np.array_equal(part.topology, motion.topology)
    for start, stop in ((5, 5), (-1, 3), (0, len(motion) + 1)):
        with pytest.raises(ValueError, match=f"of {len(motion)}"):
            motion.cut(start, stop)


def test_a_video_becomes_a_motion_of_its_rate_and_length(tmp_path: Path):
    path, done = tmp_path / "clip.mp4", []
    truth = write_clip(path, 3, frames=14, fps=Fraction(30000, 1001), size=320)
    motion = Motion.from_video(path, detector="dlib", progress=lambda now, total: done.append((now, total)))
    assert len(motion) == 14 and motion.fps == Fraction(30000, 1001)
    assert motion.sound == path and motion.video == path
    assert done[-1] == (14, 14)
    assert (motion.confidence > 0).any()
    windows = [motion.window(i) for i in range(14)]
    true = np.array([to_crop(points * 320 - 0.5, window) for points, window in zip(truth, windows, strict=True)])
    sides = np.array([window.side for window in windows])
    error = (np.linalg.norm(motion.landmarks - true, axis=-1).mean(1) * sides).mean() / 320
    assert error < 0.04  # of the picture's side: where the face is, if not where each drawn line is


def test_windows_are_in_the_pixels_of_the_full_video(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    write_clip(path, 3, frames=4, size=480, sound=False)
    full, shrunk = (Motion.from_video(path, detector="dlib", max_side=side) for side in (480, 240))
    assert np.allclose(full.windows, shrunk.windows, atol=480 * 0.03)
    assert full.sound is None


def test_a_video_without_a_face_is_refused(tmp_path: Path):
    path = tmp_path / "wall.mp4"
    with VideoWriter(path, fps=Fraction(25)) as writer:
        for _ in range(3):
            writer.write(np.full((128, 128, 3), 90, np.uint8))
    with pytest.raises(UserError, match="wall.mp4: no face"):
        Motion.from_video(path, detector="dlib")


def test_a_video_that_is_absent_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="none.mp4"):
        Motion.from_video(tmp_path / "none.mp4")


def test_a_real_person_moves_as_themselves(shared: Path):
    """Eight frames, each framed by itself as a photo is, are enough to give a real clip's landmarks back."""
    motion = Motion.from_video(shared / "data" / "clips" / "val" / "id142_vox2" / "01.mp4", detector="dlib")
    assert (motion.confidence > 0.5).mean() > 0.9
    photos = np.stack([to_crop(one, window_for(one)) for one in motion.landmarks[5::13]]).astype(np.float32)
    moved = retarget(motion.landmarks, photos, confidence=motion.confidence)
    error = np.linalg.norm(moved - motion.landmarks, axis=-1).mean(1) / interocular(motion.landmarks)
    assert np.median(error) < 0.04


@pytest.mark.parametrize(
    ("spoilt", "problem"),
    [
        ({"about": {"fps": "1e99999999"}}, "fps is '1e99999999'"),
        ({"about": {"fps": "1/100000000000000000000"}}, "it lies in 1 to 1000"),
        ({"arrays": {"landmarks": np.full((5, 68, 2), 1e19, np.float32)}}, r"landmarks reaches 1e\+19"),
        (
            {"arrays": {"landmarks": np.full((5, 68, 2), 128.0, np.float32)}},
            "landmarks reaches 128; they are fractions",
        ),
        ({"arrays": {"landmarks": np.zeros((5, 68, 2), np.int64)}}, "landmarks holds int64, not fractions"),
        ({"arrays": {"pose": np.full((5, 3), 90, np.float32)}}, "pose reaches 90; they are radians"),
        ({"arrays": {"confidence": np.full(5, 7, np.float32)}}, "confidence reaches 7"),
        ({"arrays": {"topology": np.array([[0, 1, 99]])}}, "topology names vertex 99 of 4"),
        ({"arrays": {"topology": np.array([[0, 1, -1]])}}, "topology holds what is no vertex's number"),
        ({"metadata": {"motion": "[" * 10_000}}, "lists 10000 deep"),
    ],
)
def test_values_out_of_reason_are_refused_by_name(tmp_path, spoilt, problem):
    with pytest.raises(UserError, match=f"not a motion file .*{problem}"):
        Motion.load(rewritten(tmp_path / "a.safetensors", **spoilt))


def test_double_precision_is_brought_to_single(tmp_path):
    path = rewritten(tmp_path / "a.safetensors", arrays={"landmarks": np.full((5, 68, 2), 0.5)})
    assert Motion.load(path).landmarks.dtype == np.float32


@pytest.mark.parametrize("name", ["mo_fpsbig", "mo_fpstiny", "mo_huge"])
def test_motions_that_once_had_no_end(cases, name):
    with pytest.raises(UserError, match="not a motion file"):
        Motion.load(cases / f"{name}.motion.safetensors")
