"""The page as other programs use it."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from talkinghead.media.video import read_frames

client = pytest.importorskip("gradio_client", reason="gradio is not installed")
ENDPOINTS = {
    *("/avatar", "/avatar_state", "/avatar_cancel", "/clip", "/clip_state", "/clip_cancel"),
    *("/clips", "/rename", "/delete", "/delete_clip"),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("people")
    command = [sys.executable, "-m", "talkinghead", "app", "--folder", folder, "--port", port, "--no-open"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        try:
            next(line for line in process.stderr if "is the page" in line)
            yield client.Client(f"http://127.0.0.1:{port}", verbose=False)
        finally:
            process.kill()


def test_a_program_makes_a_clip(page):
    number, *_ = page.predict("Astronaut (example)", "The example", None, None, "", None, api_name="/clip")
    for _ in range(600):
        status, *_, clip, files = page.predict(number, api_name="/clip_state")
        if 'class="job"' not in status:
            break
        time.sleep(0.5)
    assert "Done" in status
    assert len(list(read_frames(Path(clip["value"])))) > 60
    assert [Path(one).suffix for one in files["value"]] == [".mp4", ".safetensors", ".csv", ".glb"]


def test_what_it_offers_is_what_the_documentation_lists(page):
    assert set(page.view_api(return_format="dict", print_info=False)["named_endpoints"]) == ENDPOINTS
