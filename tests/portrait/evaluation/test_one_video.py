"""One video evaluated, and many: what is measured, what is kept, what is made again."""

import dataclasses

import numpy as np
import pytest
from drawn_detector import DrawnDetector
from people import PAINTER, TINY, tiny_head

from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.data.shards import Shards, Track
from talkinghead.portrait.evaluation.all_videos import RECORDS, SHEETS, Task, plan, run, run_settings
from talkinghead.portrait.evaluation.measures import Judges, to_tensor
from talkinghead.portrait.evaluation.methods import BASELINES, METHODS, head_name, in_order, label, resized
from talkinghead.portrait.evaluation.metrics import ssim
from talkinghead.portrait.evaluation.one_video import Examiner, Settings, results_sheet
from talkinghead.portrait.evaluation.protocol import Protocol, Split
from talkinghead.portrait.networks.config import CompositingConfig
from talkinghead.portrait.training.fine_tuning import FineTuningConfig
from talkinghead.testing.synthetic import drawn_track, write_drawn_shards

SIZE = TINY.size
FRAMES = 44


@pytest.fixture(scope="module")
def judges() -> Judges:
    tracks = [drawn_track(person, frames=FRAMES, side=SIZE) for person in range(2)]
    return Judges(
        DrawnDetector(
            np.concatenate([track.frames() for track in tracks]), np.concatenate([track.landmarks for track in tracks])
        )
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Shards:
    folder = tmp_path_factory.mktemp("evaluation") / "shards"
    write_drawn_shards(folder, people=2, frames=FRAMES, side=SIZE)
    return Shards(folder)


@pytest.fixture
def split() -> Split:
    return Split(pool=np.array([3, 40, 11]), targets=np.arange(20, 30))


def case_of(track: Track, split: Split, shots: int):
    return Task(0, None, split, shots).case(track)


def test_every_method_is_measured_and_the_truth_is_perfect(judges, split):
    settings = Settings(size=SIZE, fine_tuning=FineTuningConfig(steps=1, batch_size=2), cross_shots=2, cross_frames=12)
    examiner = Examiner(judges, settings, heads={"": tiny_head()})
    track, driver = drawn_track(0, frames=FRAMES, side=SIZE), drawn_track(1, frames=FRAMES, side=SIZE)
    record, sheet = examiner.examine(case_of(track, split, 2), driver=driver)
    assert record.methods == list(METHODS)
    assert (record.sources, record.targets) == (2, 10)
    assert record["truth/ssim"] == pytest.approx(1, abs=1e-4)
    assert record["truth/landmark_error"] == pytest.approx(0, abs=1e-3)
    assert record["warp/ssim"].mean() > record["ff/ssim"].mean()  # the head's weights are random
    assert not np.array_equal(record["ff/ssim"], record["ft/ssim"])
    assert record["cross/landmarks"].shape == (12, 68, 2)
    assert sheet.shape[1] >= 6 * SIZE


def test_frames_are_decoded_once_and_avatars_paint_each_target_for_itself(judges, split, monkeypatch):
    decoded, rendered = [], []
    frames, render = Track.frames, Avatar.render_batch
    monkeypatch.setattr(Track, "frames", lambda track, chosen: decoded.extend(chosen) or frames(track, chosen))
    monkeypatch.setattr(
        Avatar,
        "render_batch",
        lambda person, what, **more: rendered.append((what, {*more})) or render(person, what, **more),
    )
    track = drawn_track(0, frames=FRAMES, side=SIZE)
    examiner = Examiner(judges, Settings(size=SIZE), heads={"": tiny_head(config=PAINTER)})
    examiner.examine(case_of(track, split, 3))
    assert sorted(decoded) == sorted([*split.pool, *split.targets])
    assert len(rendered) == 1
    assert np.array_equal(rendered[0][0], track.landmarks[split.targets])
    assert not rendered[0][1] & {"shown", "among"}


def test_a_target_that_is_among_the_sources_is_copied_exactly(judges):
    examiner = Examiner(judges, Settings(size=SIZE))
    track = drawn_track(0, frames=FRAMES, side=SIZE)
    record, _ = examiner.examine(case_of(track, Split(np.array([5, 25]), np.array([25, 5])), 2))
    assert record.methods == [*BASELINES, "truth"]
    assert record["copy/ssim"] == pytest.approx(1, abs=1e-5)
    assert record["warp/csim_dlib_centred"] == pytest.approx(1, abs=1e-5)
    assert record["distance"] == pytest.approx(0)


def test_a_video_with_too_few_sources_says_how_many_it_had(judges, split):
    record, _ = Examiner(judges, Settings(size=SIZE)).examine(
        case_of(drawn_track(0, frames=FRAMES, side=SIZE), split, 8)
    )
    assert (record.shots, record.sources) == (8, 3)


def test_frames_are_compared_at_the_size_asked_for(judges, split):
    examiner = Examiner(judges, Settings(size=32), heads={"": tiny_head()})
    _, sheet = examiner.examine(case_of(drawn_track(0, frames=FRAMES, side=SIZE), split, 1))
    assert 6 * 32 <= sheet.shape[1] < 6 * 48
    assert resized(np.zeros((2, 64, 64, 3), np.uint8), 48).shape == (2, 48, 48, 3)


def test_a_sheet_runs_from_the_nearest_target_to_the_farthest():
    track = drawn_track(0, frames=6, side=SIZE)
    frames = {name: track.frames() for name in ("ft", "copy", "warp", "truth")}
    sheet = results_sheet(frames, track.landmarks, np.array([5, 1, 2, 4, 3, 0], np.float32))
    assert sheet.shape[1] >= 5 * SIZE
    assert sheet.shape[0] >= 4 * SIZE


def test_an_interrupted_run_goes_on_and_a_changed_one_starts_anew(judges, shards, tmp_path, monkeypatch):
    examiner = Examiner(judges, Settings(size=SIZE))
    tasks, left_out = plan(shards, Protocol(shots=(1, 2), held_out=8, gap=0.1))
    assert [(task.track, task.shots, task.driver) for task in tasks] == [(0, 1, 1), (0, 2, 1), (1, 1, 0), (1, 2, 0)]
    assert left_out == {}
    made = []
    examine = Examiner.examine
    monkeypatch.setattr(
        Examiner, "examine", lambda self, case, **k: made.append(case.shots) or examine(self, case, **k)
    )

    def go(settings):
        return run(tasks, shards, examiner, tmp_path, settings=settings)

    settings = run_settings(examiner, {}, "drawn")
    interrupted = go(settings)
    first = [next(interrupted), next(interrupted)]
    assert made == [1, 2]
    again = list(go(settings))
    assert made == [1, 2, 1, 2]
    assert len(again) == 4
    assert np.array_equal(again[0]["warp/ssim"], first[0]["warp/ssim"])
    assert len(list((tmp_path / RECORDS).iterdir())) == len(list((tmp_path / SHEETS).iterdir())) == 4
    list(go(settings | {"size": 32}))
    assert len(made) == 8


def test_short_videos_are_left_out_and_named(shards):
    tasks, left_out = plan(shards, Protocol(shots=(1,), gap=2.0))
    assert tasks == []
    assert left_out["person000/drawn.mp4"] == "44 frames leave 0 to hold out, not 8"


def test_only_the_first_people_are_taken(shards):
    tasks, _ = plan(shards, Protocol(shots=(1,), gap=0.1), people=1)
    assert [(task.track, task.driver) for task in tasks] == [(0, None)]


def test_a_record_depends_on_the_head_and_on_how_it_is_tuned(judges):
    def key(tuning):
        return run_settings(Examiner(judges, Settings(size=SIZE, fine_tuning=tuning)), {"": "abc"}, "dlib")

    config = FineTuningConfig()
    assert key(config) != key(None)
    assert key(config) != key(dataclasses.replace(config, generator_lr=1e-3))


def test_another_head_is_a_row_of_its_own_and_layers_are_rendered_at_the_frames_side(judges, split):
    layers = tiny_head(config=dataclasses.replace(TINY, compositing=CompositingConfig(layers=True)))
    examiner = Examiner(judges, Settings(size=SIZE, cross_shots=0), heads={"": layers, "flat": tiny_head()})
    case = case_of(drawn_track(0, frames=FRAMES, side=96), split, 2)
    record, _ = examiner.examine(case)
    assert in_order(record.methods) == ["ff", "ff@flat", *BASELINES, "truth"]
    assert label("ff@flat") == "flat, feed-forward"
    assert (record["ff/ssim"] != record["ff@flat/ssim"]).all()
    assert record["layers/ssim"].mean() > record["copy/ssim"].mean()
    rendered = feed_forward(layers, case.as_photos(layers.config.photo_side)).render_batch(case.wanted)
    assert rendered.shape[1] == 96
    frames = [to_tensor(resized(one, SIZE)) for one in (rendered, case.truth)]
    assert record["ff/ssim"] == pytest.approx(ssim(*frames).numpy(), abs=1e-4)


def test_a_head_is_called_by_its_file_or_by_its_folder(tmp_path):
    assert head_name(tmp_path / "light-128.head.safetensors") == "light-128"
    assert head_name(tmp_path / "run3" / "head.safetensors") == "run3"
