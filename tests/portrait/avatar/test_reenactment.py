"""Reenactment: a motion moves an avatar, its rate and sound are kept, memory does not grow."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from people import PAINTER, TINY, drawn_photos, tiny_head, turned_face

from talkinghead.errors import UserError
from talkinghead.face.draw import draw_landmarks
from talkinghead.face.frames import fill_gaps
from talkinghead.face.smooth import one_euro
from talkinghead.media.audio import read_sound
from talkinghead.media.video import probe, read_frames
from talkinghead.motion.motion import Motion
from talkinghead.motion.retarget import RetargetConfig, retarget
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.avatar.reenactment import Clip, beside, driver_crops, reenact
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig, retarget_motion
from talkinghead.testing.synthetic import random_motion, write_clip

SIDE = TINY.size


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return feed_forward(tiny_head(), drawn_photos(), provenance={})


@pytest.fixture(scope="module")
def driven(tmp_path_factory) -> Motion:
    """The motion of a drawn clip with sound, at a rate that is no decimal number, with the true landmarks."""
    path = tmp_path_factory.mktemp("driver") / "driver.mp4"
    fps = Fraction(30000, 1001)
    landmarks = write_clip(path, 5, frames=20, fps=fps, size=128, poses=random_motion(80, seed=5)[::4])
    windows = np.tile(np.array([63.5, 63.5, 128.0], np.float32), (20, 1))
    return Motion(landmarks, np.ones(20, np.float32), fps, windows=windows, sound=path, video=path)


def frames_of(path: Path) -> np.ndarray:
    return np.stack([frame for _, frame in read_frames(path)])


def test_retargeting_smooths_and_then_retargets(avatar, driven):
    smooth = one_euro(driven.landmarks, float(driven.fps), strength=2.0)
    wanted = retarget(smooth, avatar.source_landmarks, RetargetConfig("relative", reference=3, adapt_scale=False))
    config = ReenactmentConfig(motion="relative", reference=3, adapt_scale=False, smooth=2.0)
    assert np.array_equal(retarget_motion(driven, avatar.source_landmarks, config), wanted)


def test_by_default_lost_frames_are_held_all_are_smoothed_and_the_face_stays_the_persons(avatar, driven):
    lost = replace(driven, confidence=(np.arange(20) % 7 > 1).astype(np.float32))
    for missing in ("hold", "fade"):
        filled = fill_gaps(driven.landmarks, lost.seen, fps=float(driven.fps), how=missing)
        smooth = one_euro(filled, float(driven.fps), strength=1.0)
        as_the_person = RetargetConfig("absolute", adapt_scale=True, keep_proportions=True)
        wanted = retarget(smooth, avatar.source_landmarks, as_the_person, confidence=lost.confidence)
        config = ReenactmentConfig() if missing == "hold" else ReenactmentConfig(missing=missing)
        assert np.array_equal(retarget_motion(lost, avatar.source_landmarks, config), wanted)


def test_retargeting_holds_few_copies_of_a_long_motion(avatar):
    def peak(frames: int) -> int:
        seen = (np.arange(frames) % 50 > 0).astype(np.float32)
        motion = Motion(np.resize(drawn, (frames, 68, 2)), seen, Fraction(25))
        tracemalloc.start()
        try:
            retarget_motion(motion, avatar.source_landmarks, ReenactmentConfig(smooth=0))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    drawn = avatar.source_landmarks
    assert peak(7000) - peak(1000) < 2 * 6000 * drawn[0].nbytes


def test_the_drivers_face_as_it_is_can_be_had(avatar, driven):
    plain = ReenactmentConfig(adapt_scale=False, keep_proportions=False, smooth=0)
    assert np.allclose(retarget_motion(driven, avatar.source_landmarks, plain), driven.landmarks, atol=1e-6)


def test_rate_length_and_sound_are_the_drivers(avatar, driven, tmp_path):
    done = []
    reenact(avatar, driven, Clip(tmp_path / "out.mp4"), progress=lambda *at: done.append(at))
    info = probe(tmp_path / "out.mp4")
    assert (info.fps, info.frames, info.width, info.height) == (driven.fps, 20, SIDE, SIDE)
    assert done == [(i, 20) for i in range(1, 21)]
    (heard, rate), (spoken, _) = (read_sound(path, sample_rate=16000) for path in (tmp_path / "out.mp4", driven.sound))
    assert abs(len(heard) / rate - 20 / float(driven.fps)) < 0.1
    both = min(len(heard), len(spoken))
    assert np.corrcoef(np.abs(heard[:both]), np.abs(spoken[:both]))[0, 1] > 0.9


def test_the_sound_can_be_left_out(avatar, driven, tmp_path):
    reenact(avatar, driven, Clip(tmp_path / "out.mp4", sound=False))
    assert not probe(tmp_path / "out.mp4").has_sound


def test_the_clip_shows_the_avatar_as_retargeted(avatar, driven, tmp_path):
    config = ReenactmentConfig(batch_size=7)
    reenact(avatar, driven, Clip(tmp_path / "out.mp4"), config=config)
    wanted = np.stack(list(avatar.animate(retarget_motion(driven, avatar.source_landmarks, config))))
    shown = frames_of(tmp_path / "out.mp4")
    bright = [frames.mean(3).reshape(20, 8, SIDE // 8, 8, SIDE // 8).mean((2, 4)) for frames in (shown, wanted)]
    assert np.abs(bright[0] - bright[1]).mean() < 2  # what the codec leaves of a random network's noise


def test_compare_shows_driver_landmarks_and_person_of_the_same_moment(avatar, driven, tmp_path):
    reenact(avatar, driven, Clip(tmp_path / "out.mp4", compare=True))
    shown = frames_of(tmp_path / "out.mp4").astype(float)
    assert shown.shape == (20, SIDE, 3 * SIDE, 3)
    landmarks = retarget_motion(driven, avatar.source_landmarks)
    crops = np.stack(list(driver_crops(driven, SIDE))).astype(float)
    drawn = np.stack([draw_landmarks(points, SIDE) for points in landmarks]).astype(float)
    for column, wanted in ((0, crops), (1, drawn)):
        part = shown[:, :, column * SIDE : (column + 1) * SIDE]
        error = np.array([[np.abs(one - other).mean() for other in wanted] for one in part])
        assert (error.argmin(1) == np.arange(20)).all()


def test_a_video_that_ends_early_leaves_black(avatar, driven):
    landmarks = driven.landmarks[:2]
    frames = iter(np.full((2, 8, 8, 3), 200, np.uint8))
    first, second = beside(iter(np.full((1, 8, 8, 3), 100, np.uint8)), landmarks, frames)
    assert (first[:, :8] == 100).all() and (second[:, :8] == 0).all()


@pytest.mark.parametrize("missing", ["hold", "fade"])
def test_lost_frames_are_made_up(avatar, driven, missing):
    confidence = driven.confidence.copy()
    confidence[6:10] = 0
    landmarks = driven.landmarks.copy()
    landmarks[6:10] = 0.9
    lost = replace(driven, confidence=confidence, landmarks=landmarks)
    plain = {"adapt_scale": False, "keep_proportions": False, "smooth": 0}
    moved = retarget_motion(lost, avatar.source_landmarks, ReenactmentConfig(missing=missing, **plain))
    steps = np.abs(np.diff(moved[5:11], axis=0)).max((1, 2))
    assert (steps[:4] == 0).all() == (missing == "hold")
    assert steps.max() < 0.2


def test_lost_frames_can_be_refused(avatar, driven):
    confidence = np.ones(20, np.float32)
    confidence[6:10] = 0
    with pytest.raises(UserError, match=r"driver.mp4: 4 of 20 frames show no face, the first at 0.20 s"):
        retarget_motion(
            replace(driven, confidence=confidence), avatar.source_landmarks, ReenactmentConfig(missing="fail")
        )


def test_a_driver_that_is_never_seen_is_refused(avatar, driven):
    with pytest.raises(UserError, match="no frame shows a face"):
        retarget_motion(replace(driven, confidence=np.zeros(20, np.float32)), avatar.source_landmarks)


def test_a_reference_outside_the_motion_is_refused(avatar, driven):
    for outside in (-1, 20):
        with pytest.raises(UserError, match=f"--reference is {outside}; .* has the frames 0 to 19"):
            retarget_motion(driven, avatar.source_landmarks, ReenactmentConfig(motion="relative", reference=outside))
    for inside in (0, 19):
        config = ReenactmentConfig(motion="relative", reference=inside, smooth=0)
        start = retarget_motion(driven, avatar.source_landmarks, config)[inside]
        assert np.abs(avatar.source_landmarks - start).max((1, 2)).min() < 0.02  # as one of the photos


def test_an_existing_clip_is_kept_unless_told_otherwise(avatar, driven, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(UserError, match="exists"):
        reenact(avatar, driven, Clip(tmp_path / "out.mp4"))
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    reenact(avatar, driven, Clip(tmp_path / "out.mp4", overwrite=True))
    assert probe(tmp_path / "out.mp4").frames == 20


def test_a_clip_that_breaks_off_leaves_nothing(avatar, driven, tmp_path):
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reenact(avatar, driven, Clip(tmp_path / "out.mp4"), progress=stop)
    assert not list(tmp_path.iterdir())


def test_lost_files_are_named(avatar, driven, tmp_path):
    gone = tmp_path / "gone.mp4"
    with pytest.raises(UserError, match=r"gone.mp4: the motion's sound"):
        reenact(avatar, replace(driven, sound=gone), Clip(tmp_path / "out.mp4"))
    with pytest.raises(UserError, match=r"gone.mp4: the driver's video"):
        driver_crops(replace(driven, video=gone), SIDE)
    with pytest.raises(UserError, match="--compare needs a driver that is a video"):
        driver_crops(replace(driven, video=None), SIDE)


def test_frames_are_written_as_they_are_rendered(avatar, driven, tmp_path, monkeypatch):
    rendered, waiting = 0, []
    render_batch = avatar.render_batch

    def counted(landmarks: np.ndarray, *more: object, **options: object) -> np.ndarray:
        nonlocal rendered
        rendered += len(landmarks)
        return render_batch(landmarks, *more, **options)

    monkeypatch.setattr(avatar, "render_batch", counted)
    config = ReenactmentConfig(batch_size=3)
    report = lambda done, total: waiting.append(rendered - done)  # noqa: E731
    reenact(avatar, driven, Clip(tmp_path / "out.mp4", compare=True), config=config, progress=report)
    assert rendered == 20 and max(waiting) < 3


def test_landmarks_in_one_place_are_no_face(avatar, driven):
    landmarks = driven.landmarks.copy()
    landmarks[:5] = 0.5
    still = Motion(landmarks, driven.confidence, driven.fps)
    assert still.seen.tolist() == [False] * 5 + [True] * 15
    moved = retarget_motion(still, avatar.source_landmarks, ReenactmentConfig(smooth=0))
    assert np.allclose(moved[:6], moved[5], atol=1e-5)
    with pytest.raises(UserError, match="no frame shows a face"):
        retarget_motion(Motion(0 * landmarks, driven.confidence, driven.fps), avatar.source_landmarks)


def test_a_driver_who_turns_too_far_is_limited(tmp_path):
    frontal = feed_forward(tiny_head(config=PAINTER), drawn_photos(1))
    turned = Motion(np.stack([turned_face(x) for x in (0, 10, 60)]), np.ones(3, np.float32), Fraction(25))
    plain = ReenactmentConfig(smooth=0)
    free = retarget_motion(turned, frontal.source_landmarks, plain)
    assert np.array_equal(frontal.animate(turned, replace(plain, turn_limit=180)).landmarks, free)
    animation = frontal.animate(turned, plain)
    held = animation.landmarks
    assert animation.background == 0
    assert np.array_equal(held, frontal.animate(turned, replace(plain, turn_limit=30.0)).landmarks)
    assert np.array_equal(held[:2], free[:2])
    assert np.abs(held[2] - free[2]).max() > 0.03
    reenact(frontal, turned, Clip(tmp_path / "held.mp4"), config=plain)
    wanted = np.stack(list(animation))
    assert np.abs(frames_of(tmp_path / "held.mp4").astype(int) - wanted).mean() < 8


def test_an_avatar_that_shows_no_photo_turns_as_far_as_the_driver():
    plain_avatar = feed_forward(tiny_head(), drawn_photos(1))
    turned = Motion(turned_face(60)[None], np.ones(1, np.float32), Fraction(25))
    plain = ReenactmentConfig(smooth=0)
    animation = plain_avatar.animate(turned, plain)
    assert animation.background is None
    assert np.array_equal(animation.landmarks, retarget_motion(turned, plain_avatar.source_landmarks, plain))


def test_turns_are_limited_by_the_photos_of_the_backgrounds_scene():
    photos = drawn_photos(2)
    photos.landmarks[:] = turned_face(0), turned_face(45)
    photos.frames[0], photos.frames[1] = 40, 200  # two scenes
    avatar = feed_forward(tiny_head(config=PAINTER), photos)
    moving = np.stack([turned_face(0)] * 9 + [turned_face(45)])
    limited = avatar.animate(moving)
    assert limited.background == 0
    assert np.array_equal(limited.landmarks[0], moving[0])
    assert np.abs(limited.landmarks[9] - moving[9]).max() > 0.02
    other = avatar.animate(moving[9:])
    assert other.background == 1
    assert np.array_equal(other.landmarks, moving[9:])


def test_frames_that_come_one_at_a_time_are_those_of_the_whole_clip():
    avatar = feed_forward(tiny_head(config=PAINTER), drawn_photos(2))
    moving = np.stack([turned_face(x) for x in (0, 25, 50)])
    whole, animator = avatar.animate(moving), avatar.animator(moving)
    parts = [animator.animate(moving[i : i + 1]) for i in range(3)]
    assert {part.background for part in parts} == {whole.background}
    assert np.abs(whole.landmarks - moving).max() > 0.02
    assert np.concatenate([part.landmarks for part in parts]) == pytest.approx(whole.landmarks, abs=1e-6)
    frames = np.stack([frame for part in parts for frame in part])
    assert np.abs(frames.astype(int) - np.stack(list(whole))).max() <= 2
    assert np.array_equal(np.stack(list(whole)), np.stack(list(whole)))  # it can be watched again
