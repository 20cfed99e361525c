"""The queue of the page: one at a time, cancelled when asked, and what breaks is said."""

import threading
import time

from talkinghead.app.jobs import Jobs
from talkinghead.errors import UserError


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_jobs_are_done_one_after_the_other_and_show_what_they_have():
    jobs, order, gate = Jobs(), [], threading.Event()

    def first(job):
        gate.wait(10)
        order.append("first")
        job.shown["clip"] = "a.mp4"

    one = jobs.submit("one", first)
    other = jobs.submit("other", lambda job: order.append("other"))
    until(lambda: one.state == "running")
    assert other.state == "waiting"
    assert jobs.ahead(other) == 1
    gate.set()
    until(lambda: other.ended)
    assert order == ["first", "other"]
    assert jobs.get(one.number).shown == {"clip": "a.mp4"}
    assert jobs.get("no such") is None
    jobs.close()


def test_a_stage_counts_and_says_how_long_is_left():
    jobs, gate = Jobs(), threading.Event()

    def work(job):
        report = job.stage("rendering")
        time.sleep(0.1)
        report(1, 4)
        gate.wait(10)

    job = jobs.submit("waiting", work)
    until(lambda: job.done == 1)
    assert job.title == "rendering"
    assert 0.2 < job.seconds_left < 30
    gate.set()
    jobs.close()


def test_a_running_job_ends_at_its_next_step_and_a_waiting_one_never_begins():
    jobs, begun, steps = Jobs(), threading.Event(), []

    def work(job):
        report = job.stage("endless")
        begun.set()
        for step in range(10**6):
            steps.append(step)
            report(step, None)
            time.sleep(0.001)

    job, other = jobs.submit("one", work), jobs.submit("other", lambda job: steps.append("other"))
    begun.wait(10)
    jobs.cancel(other.number)
    jobs.cancel(job.number)
    until(lambda: job.ended)
    assert (job.state, other.state) == ("cancelled", "cancelled")
    jobs.close()
    assert "other" not in steps


def test_what_goes_wrong_is_one_sentence_and_the_next_job_is_done():
    jobs = Jobs()

    def refused(job):
        raise UserError("a.jpg: no face was found")

    def broken(job):
        raise RuntimeError("the kernel is gone")

    one, two, three = jobs.submit("", refused), jobs.submit("", broken), jobs.submit("", lambda job: None)
    until(lambda: three.ended)
    assert (one.state, one.error) == ("failed", "a.jpg: no face was found")
    assert two.state == "failed"
    assert two.error.startswith("RuntimeError: the kernel is gone")
    assert three.state == "done"
    jobs.close()
