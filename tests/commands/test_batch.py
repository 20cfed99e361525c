"""Many jobs in one run: what is done is not done again, what fails stops nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from talkinghead.commands import batch
from talkinghead.errors import UserError
from talkinghead.media.image import read_image, write_image
from talkinghead.media.video import probe
from talkinghead.motion.motion import Motion
from talkinghead.portrait.training.fine_tuning import make_avatar
from talkinghead.testing.synthetic import draw_person, random_motion
from talkinghead.weights.shipped import shipped


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos of two drawn people, an avatar of one, and a short motion."""
    place = tmp_path_factory.mktemp("made")
    for person in (0, 1):
        (place / "photos" / f"person{person}").mkdir(parents=True)
        picture = draw_person(person, random_motion(1, seed=1)[0], size=160)[0]
        write_image(place / "photos" / f"person{person}" / "a.png", picture)
    (place / "avatars").mkdir()
    make_avatar([place / "photos" / "person0"], steps=0).save(place / "avatars" / "anna.avatar.safetensors")
    (place / "drivers").mkdir()
    Motion.load(shipped("demo.motion.safetensors")).cut(0, 3).save(place / "drivers" / "nod.motion.safetensors")
    return place


def jobs_file(made, path, *more):
    avatar, driver = made / "avatars" / "anna.avatar.safetensors", made / "drivers" / "nod.motion.safetensors"
    jobs = [{"output": str(path.parent / "a.mp4")}, *more]
    path.write_text(
        json.dumps({"defaults": {"verb": "reenact", "avatar": str(avatar), "driver": str(driver)}, "jobs": jobs})
    )
    return path


def fates(jobs):
    return {Path(one["output"]).name: one for one in json.loads((jobs.parent / f"{jobs.name}.batch.json").read_text())}


def test_jobs_of_a_list_are_done_and_only_once(made, tmp_path):
    jobs = jobs_file(made, tmp_path / "jobs.yaml", {"output": str(tmp_path / "b" / "b.mp4"), "view": "head"})
    batch.main([str(jobs)])
    assert probe(tmp_path / "a.mp4").frames == probe(tmp_path / "b" / "b.mp4").frames == 3
    assert read_image(tmp_path / "jobs.yaml.batch.png").shape[0] >= batch.THUMB
    before = (tmp_path / "a.mp4").stat().st_mtime_ns
    batch.main([str(jobs)])
    assert (tmp_path / "a.mp4").stat().st_mtime_ns == before


def test_what_has_changed_is_done_again_and_foreign_files_are_kept(made, tmp_path):
    jobs = jobs_file(made, tmp_path / "jobs.yaml")
    batch.main([str(jobs)])
    before = (tmp_path / "a.mp4").stat().st_mtime_ns
    jobs_file(made, jobs, {"output": str(tmp_path / "mine.mp4")})
    jobs.write_text(jobs.read_text().replace('"jobs": [{', '"jobs": [{"smooth": 2.0, '))
    (tmp_path / "mine.mp4").write_bytes(b"somebody's film")
    with pytest.raises(UserError, match="1 of 2 jobs failed"):
        batch.main([str(jobs)])
    assert (tmp_path / "a.mp4").stat().st_mtime_ns > before
    assert (tmp_path / "mine.mp4").read_bytes() == b"somebody's film"
    assert "exists" in fates(jobs)["mine.mp4"]["reason"]


def test_a_job_that_fails_stops_no_other_and_is_tried_again_when_asked(made, tmp_path):
    late = tmp_path / "late.motion.safetensors"
    jobs = jobs_file(made, tmp_path / "jobs.yaml")
    listed = json.loads(jobs.read_text())
    listed["jobs"].insert(0, {"output": str(tmp_path / "late.mp4"), "driver": str(late)})
    jobs.write_text(json.dumps(listed))
    with pytest.raises(UserError, match="1 of 2 jobs failed"):
        batch.main([str(jobs)])
    found = fates(jobs)
    assert (found["late.mp4"]["status"], found["a.mp4"]["status"]) == ("failed", "done")
    assert "late.motion" in found["late.mp4"]["reason"]
    with pytest.raises(UserError):
        batch.main([str(jobs)])
    Motion.load(made / "drivers" / "nod.motion.safetensors").save(late)
    batch.main([str(jobs), "--retry-failed"])
    assert fates(jobs)["late.mp4"]["status"] == "done"


def test_folders_are_crossed_and_people_become_avatars(made, tmp_path):
    batch.main(["--avatars", str(made / "avatars"), "--drivers", str(made / "drivers"), "-o", str(tmp_path / "out")])
    assert {path.name for path in (tmp_path / "out").glob("*.mp4")} == {"anna nod.mp4"}
    found = batch.listed(batch.Options(people=made / "photos", output=tmp_path, consent="they agreed"))
    assert [Path(job.output).name for job in found] == ["person0.avatar.safetensors", "person1.avatar.safetensors"]
    assert found[0].words(overwrite=True) == [
        str(made / "photos" / "person0"), "--output", str(tmp_path / "person0.avatar.safetensors"),
        "--consent", "they agreed", "--overwrite",
    ]  # fmt: skip


def test_a_job_is_known_by_what_its_files_hold(tmp_path):
    one, two = tmp_path / "a.bin", tmp_path / "b.bin"
    one.write_bytes(bytes(3_000_000))
    job = batch.Job("reenact", {"driver": str(one), "output": "x.mp4"})
    key = job.key
    content = np.zeros(3_000_000, np.uint8)
    content[-1] = 1
    one.write_bytes(content.tobytes())
    assert job.key != key
    two.write_bytes(bytes(3_000_000))
    two.replace(one)
    assert job.key == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobs: []", "lists no jobs"),
        ("jobs: [{verb: reenact}]", "job 1 needs an output"),
        ("jobs: [{output: a.mp4, verb: rm}]", "job 1 needs an output and a verb"),
        ("jobs: [{output: a.mp4, verb: speak}, {output: a.mp4, verb: speak}]", "two jobs would write a.mp4"),
    ],
)
def test_lists_that_cannot_be_done_are_refused_before_anything_is(tmp_path, text, words):
    (tmp_path / "jobs.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        batch.main([str(tmp_path / "jobs.yaml")])


def test_a_table_is_a_list_too(tmp_path):
    (tmp_path / "jobs.csv").write_text("verb,output,avatar,driver\nreenact,a.mp4,x.safetensors,y.mp4\nspeak,b.mp4,,\n")
    jobs = batch.read_jobs(tmp_path / "jobs.csv")
    assert [job.verb for job in jobs] == ["reenact", "speak"]
    assert jobs[0].words(overwrite=False) == ["--output", "a.mp4", "--avatar", "x.safetensors", "--driver", "y.mp4"]
    assert jobs[1].settings == {"output": "b.mp4"}


def test_either_a_list_or_folders():
    for wrong in ({}, {"jobs": Path("a"), "people": Path("b")}, {"people": Path("b")}):
        with pytest.raises(UserError, match="batch "):
            batch.Options(**wrong)
