"""The page in a real browser: photos, an avatar, a clip, a download; what is wrong, what is cancelled, two tabs.

Pictures of what was seen lie in test-results/page.
"""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from talkinghead.media.image import write_image
from talkinghead.media.video import read_frames
from talkinghead.testing.synthetic import draw_person, random_motion

pytest.importorskip("gradio", reason="gradio is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "test-results" / "page"
PATIENCE = 180_000
"""Milliseconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def address(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "talkinghead",
        "app",
        "--folder",
        folder,
        "--port",
        port,
        "--no-open",
        "--steps",
        4,
    ]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if "is the page" in line:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address)
    tab.wait_for_selector("#go")
    yield tab
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    context.close()
    assert not outside


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three photos of one drawn person, and one of nobody."""
    place = tmp_path_factory.mktemp("photos")
    for index, pose in enumerate(random_motion(60, seed=1)[::20]):
        write_image(place / f"anna{index}.png", draw_person(0, pose, size=256)[0])
    write_image(place / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    return place


def picture(tab, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def drop(tab, *files):
    tab.set_input_files("#photos input[type=file]", list(files))
    tab.wait_for_function("/can be used|⚠/.test(document.querySelector('#says').innerText)")


def make_avatar(tab, name):
    tab.fill("#name input, #name textarea", name)
    tab.fill("#consent textarea, #consent input", "a drawing agreed")
    tab.click("#make")


def ended(tab, status):
    tab.wait_for_selector(f"#{status} .done, #{status} .failed, #{status} .cancelled")
    return tab.inner_text(f"#{status}")


def test_photos_become_an_avatar_and_the_avatar_a_clip_that_is_downloaded(page, photos, folder, tmp_path):
    drop(page, *sorted(photos.glob("anna*.png")))
    assert "3 photos can be used" in page.inner_text("#says")
    make_avatar(page, "Anna")
    page.wait_for_selector("#preview video")  # the first preview comes before the tuning has ended
    assert "Done" in ended(page, "make-status")
    assert (folder / "avatars" / "Anna.avatar.safetensors").is_file()
    page.wait_for_function("document.querySelector('#avatar input').value === 'Anna'")
    picture(page, "avatar")
    page.click("#go")
    assert "Done" in ended(page, "go-status")
    page.wait_for_selector("#clip video")
    picture(page, "clip")
    with page.expect_download() as coming:
        page.click("#files a[download]")
    coming.value.save_as(tmp_path / "clip.mp4")
    assert len(list(read_frames(tmp_path / "clip.mp4"))) > 60
    assert {path.suffix for path in (folder / "clips").glob("Anna 1*")} == {".mp4", ".safetensors", ".csv", ".glb"}


def test_what_is_wrong_with_a_photo_is_said_before_anything_is_made(page, photos):
    drop(page, photos / "wall.png", photos / "anna0.png")
    assert "wall.png" in page.inner_text("#says")
    assert "face" in page.inner_text("#says")
    picture(page, "wrong-photo")
    make_avatar(page, "Wall")
    assert "wall.png" in ended(page, "make-status")


def test_consent_and_a_good_name_are_asked_for(page, photos):
    drop(page, photos / "anna0.png")
    page.fill("#name input, #name textarea", "../outside")
    page.click("#make")
    page.wait_for_selector("#make-status .failed")
    assert "cannot be a name" in page.inner_text("#make-status")
    page.fill("#name input, #name textarea", "Nobody")
    page.click("#make")
    page.wait_for_function("document.querySelector('#make-status').innerText.includes('agreed')")


def test_a_reload_finds_the_job_another_tab_does_not_and_it_is_cancelled(page, address, folder, photos):
    page.click("#go")  # a first job, so that the second waits
    page.wait_for_selector("#go-status .job")
    page.wait_for_function("location.search.includes('clip=')")
    page.reload()
    page.wait_for_selector("#go-status .job")
    other = page.context.new_page()
    other.goto(address)
    other.wait_for_selector("#go")
    time.sleep(2)
    assert not other.inner_text("#go-status").strip()
    other.close()
    page.click("#go-cancel")
    assert "Cancelled" in ended(page, "go-status") or "Done" in page.inner_text("#go-status")
    assert not [path for path in (folder / "clips").iterdir() if path.name.startswith(".")]


def test_the_page_fits_a_telephone(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_selector("#go")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    picture(tab, "telephone")
    context.close()
