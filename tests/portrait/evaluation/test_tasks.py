"""Task lists for other programs: written, read, and their clips measured."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from drawn_detector import DrawnDetector

from talkinghead.errors import UserError
from talkinghead.media.image import write_image
from talkinghead.media.video import VideoWriter, probe
from talkinghead.portrait.data.shards import Shards
from talkinghead.portrait.evaluation.all_videos import listed_cases, plan, run_rendered
from talkinghead.portrait.evaluation.measures import Judges
from talkinghead.portrait.evaluation.methods import BASELINES, in_order
from talkinghead.portrait.evaluation.one_video import Examiner, Settings
from talkinghead.portrait.evaluation.protocol import Protocol
from talkinghead.portrait.evaluation.tasks import LIST, program_names, read_tasks, rendered, write_tasks
from talkinghead.testing.synthetic import drawn_track, write_drawn_shards

SIZE, FRAMES = 64, 44
PROTOCOL = Protocol(shots=(1, 2), held_out=8, gap=0.1)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    write_drawn_shards(folder / "shards", people=1, frames=FRAMES, side=SIZE)
    shards = Shards(folder / "shards")
    tasks, _ = plan(shards, PROTOCOL)
    assert write_tasks(folder / "list", listed_cases(tasks, shards), PROTOCOL) == 2
    return folder / "list", [case for _, _, case in listed_cases(tasks, shards)]


def test_a_list_reads_back_what_was_asked_for(written):
    folder, cases = written
    listed, protocol = read_tasks(folder)
    assert protocol == PROTOCOL
    assert [task.id for task in listed] == ["person000_drawn_T01", "person000_drawn_T02"]
    for task, case in zip(listed, cases, strict=True):
        again = task.case()
        for name in ("photos", "landmarks", "truth", "wanted"):
            assert np.array_equal(getattr(again, name), getattr(case, name))
        assert (again.run, again.shots, again.person) == (case.run, case.shots, case.person)
    entry = listed[1].entry
    assert entry["photos"] == ["person000_drawn/photos/000.png", "person000_drawn/photos/001.png"]
    assert entry["frames"] == len(entry["driver"]) == 8 + entry["run"] and entry["run"] >= 6
    clip = probe(folder / entry["driver_clip"])
    assert (clip.frames, clip.fps) == (entry["frames"], Fraction(entry["fps"]))


def test_changed_and_missing_files_are_named(written, tmp_path):
    folder, _ = written
    task = read_tasks(folder)[0][0]
    wrong = replace(task, hashes=task.hashes | {"person000_drawn/photos/000.png": "0"})
    with pytest.raises(UserError, match=r"000\.png is not as it was written"):
        wrong.case()
    with pytest.raises(UserError, match="is missing from the task list"):
        replace(task, entry=task.entry | {"photos": ["../shards/index.json"]}).case()
    with pytest.raises(UserError, match="no task list here"):
        read_tasks(tmp_path)
    (tmp_path / LIST).write_text(json.dumps({"format": "other"}))
    with pytest.raises(UserError, match="its format is 'other'"):
        read_tasks(tmp_path)


def test_a_program_gives_a_clip_or_pictures_as_long_as_the_driver(written, tmp_path):
    folder, cases = written
    task, truth = read_tasks(folder)[0][0], cases[0].truth
    with pytest.raises(UserError, match="holds neither"):
        rendered(tmp_path, task)
    with VideoWriter(tmp_path / f"{task.id}.mp4", fps=Fraction(task.entry["fps"])) as writer:
        for frame in truth:
            writer.write(frame)
    assert np.abs(rendered(tmp_path, task).astype(int) - truth).mean() < 6  # H.264 is lossy
    for index, frame in enumerate(truth):
        write_image(tmp_path / task.id / f"{index:04}.png", frame)
    assert np.array_equal(rendered(tmp_path, task), truth)
    (tmp_path / task.id / "0000.png").unlink()
    with pytest.raises(UserError, match=f"has {len(truth) - 1} frames, its driver {len(truth)}"):
        rendered(tmp_path, task)
    write_image(tmp_path / task.id / "0000.png", truth[0][:32])
    with pytest.raises(UserError, match="make all square"):
        rendered(tmp_path, task)


def test_programs_are_called_by_their_folders(tmp_path):
    for name in ("fomm", "copy"):
        (tmp_path / name).mkdir()
    assert program_names([tmp_path / "fomm"]) == {"fomm": tmp_path / "fomm"}
    for folders, complaint in (
        ([tmp_path / "copy"], "another name than 'copy'"),
        ([tmp_path / "fomm"] * 2, "another name than 'fomm'"),
        ([tmp_path / "nowhere"], "is no folder"),
    ):
        with pytest.raises(UserError, match=complaint):
            program_names(folders)


def test_a_program_that_returns_the_driver_is_perfect_and_is_measured_once(written, tmp_path):
    folder, cases = written
    listed = read_tasks(folder)[0][:1]
    for index, frame in enumerate(cases[0].truth):
        write_image(tmp_path / "oracle" / listed[0].id / f"{index:04}.png", frame)
    track = drawn_track(0, frames=FRAMES, side=SIZE)
    judges = Judges(DrawnDetector(track.frames(), track.landmarks))
    examiner = Examiner(judges, Settings(size=SIZE))
    programs = program_names([tmp_path / "oracle"])
    (record,) = run_rendered(listed, programs, examiner, tmp_path / "out", settings={})
    assert in_order(record.methods) == ["oracle", *BASELINES, "truth"]
    assert record["oracle/ssim"] == pytest.approx(1, abs=1e-4)
    assert record["oracle/sharp_face"] == pytest.approx(1)
    assert record["oracle/aed_rig"] == pytest.approx(0, abs=1e-4)
    assert record["oracle/acceleration"][0] == pytest.approx(record["oracle/acceleration"][1])
    assert record["copy/ssim"].mean() < 0.99
    (again,) = run_rendered(listed, programs, Examiner(judges, Settings(size=SIZE)), tmp_path / "out", settings={})
    assert np.array_equal(again["oracle/ssim"], record["oracle/ssim"])
    assert len(list((tmp_path / "out" / "records").iterdir())) == 1
