"""doctor: sees what is there, names what is not with the command that fixes it, fails only for what is required."""

import json
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from talkinghead import cli
from talkinghead.commands import doctor


def run(capsys, *arguments):
    try:
        cli.main(["doctor", *arguments])
    except SystemExit as ended:
        return ended.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def findings_of(capsys):
    _, page = run(capsys, "--json")
    return {(finding["group"], finding["name"]): finding for finding in json.loads(page)}


@pytest.fixture
def nothing_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("TALKINGHEAD_WEIGHTS", str(tmp_path))
    return tmp_path


def test_an_installation_that_can_run_these_tests_is_whole(capsys):
    code, page = run(capsys)
    assert code == 0
    assert "!!" not in page
    assert metadata.version("torch") in page


def test_absent_weights_come_with_their_command_and_do_not_fail(capsys, nothing_downloaded):
    code, page = run(capsys)
    assert code == 0
    assert f"curl -fL -o {nothing_downloaded}/vgg19_caffe.pth https://" in page


def test_weights_in_the_folder_are_seen(capsys, nothing_downloaded):
    (nothing_downloaded / "vgg_face_dag.pth").touch()
    findings = findings_of(capsys)
    assert findings["perceptual loss", "vgg_face_dag.pth"]["present"]
    assert not findings["perceptual loss", "vgg19_caffe.pth"]["present"]


def test_a_missing_required_package_is_exit_1_with_its_command(capsys, monkeypatch):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["surely-not-installed>=3"])
    code, page = run(capsys)
    assert code == 1
    assert '-m pip install "surely-not-installed>=3"' in page


def test_an_old_package_is_named_with_both_versions():
    finding = doctor.package(Requirement("numpy>=999"))
    assert not finding.present
    assert metadata.version("numpy") in finding.detail
    assert ">=999" in finding.detail


def test_compromised_lightning_is_refused(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "2.6.3")
    declared = next(r for r in map(Requirement, metadata.requires("talkinghead")) if r.name == "pytorch-lightning")
    assert not doctor.package(declared).present


def test_a_package_that_does_not_import_is_a_gap(monkeypatch):
    def broken(name):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(doctor, "import_module", broken)
    finding = doctor.package(Requirement("numpy"))
    assert not finding.present
    assert "libGL.so.1" in finding.detail


def test_headless_opencv_beside_opencv_is_a_gap(monkeypatch):
    versions = {"opencv-python-headless": "4.12"}
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: [])
    monkeypatch.setattr(doctor, "_version", versions.get)
    last = list(doctor.packages())[-1]
    assert last.name == "opencv-python-headless"
    assert last.required
    assert not last.present


def test_a_checkout_that_is_not_installed_says_so(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "requires", absent)
    assert list(doctor.packages())[-1].fix == f"{sys.executable} -m pip install ."


def test_commercial_view_puts_each_choice_under_its_use(capsys):
    code, page = run(capsys, "--commercial")
    assert code == 0
    commercial, rest = page.split("research:", 1)
    research, ask = rest.split("ask:", 1)
    assert "dlib HOG" in commercial
    assert "300-W" in research
    assert "vgg_face_dag" in research
    assert "300-W" not in commercial + ask


def test_unknown_option_is_exit_2(capsys):
    code, _ = run(capsys, "--comercial")
    assert code == 2
