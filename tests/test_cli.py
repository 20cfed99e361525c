"""The command line as a user meets it."""

import errno
import os
import resource
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

import talkinghead
from talkinghead import cli
from talkinghead.errors import UserError

HEAVY = ("torch", "cv2", "numpy", "av", "jsonargparse", "pytorch_lightning")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "talkinghead", *arguments], capture_output=True, text=True, check=False
    )


def replace_command(monkeypatch: pytest.MonkeyPatch, main) -> None:
    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(main=main))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_answer_in_half_a_second(option):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = run(option)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0
    assert answer.stdout
    # Time on the processor, because other processes may hold it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_help_imports_nothing_heavy():
    code = (
        "import sys, talkinghead.cli as cli; cli.main(['--help']); cli.main(['--version']);"
        f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == ""


def test_help_names_every_command(capsys):
    cli.main([])
    page = capsys.readouterr().out
    assert all(f"  {verb} " in page for verb in cli.COMMANDS)


def test_version_is_the_package_version(capsys):
    cli.main(["--version"])
    assert capsys.readouterr().out == f"talkinghead {talkinghead.__version__}\n"


@pytest.mark.parametrize(
    ("verb", "meant"), [("renact", "reenact"), ("finetune", "fine-tune"), ("metatrain", "meta-train")]
)
def test_unknown_verb_is_answered_with_the_nearest_one(verb, meant):
    answer = run(verb)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == f"error: there is no verb {verb!r}; did you mean {meant!r}?\n"


def test_unknown_verb_without_a_near_one_lists_the_verbs():
    sentence = cli.unknown_verb("xyzzy")
    assert all(verb in sentence for verb in cli.COMMANDS)


def test_user_error_is_one_sentence_and_exit_2(monkeypatch, capsys):
    def refuse(argv):
        raise UserError(f"{argv[0]} does not exist; name a video")

    replace_command(monkeypatch, refuse)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["reenact", "missing.mp4"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: missing.mp4 does not exist; name a video\n"


@pytest.mark.parametrize(
    ("number", "path", "sentence"),
    [
        (errno.EACCES, "locked/a.mp4", "locked/a.mp4: Permission denied; mend that, or give another path."),
        (errno.ENAMETOOLONG, "aaa", "aaa: File name too long; mend that, or give another path."),
        (errno.ENOSPC, None, "reenact: No space left on device; mend that, or give another path."),
    ],
)
def test_what_the_system_refuses_is_one_sentence_too(monkeypatch, capsys, number, path, sentence):
    def refuse(argv):
        raise OSError(number, os.strerror(number), path)

    replace_command(monkeypatch, refuse)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["reenact"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_other_errors_of_the_system_are_faults_of_the_program(monkeypatch):
    def fail(argv):
        raise OSError(errno.EBADF, "Bad file descriptor")

    replace_command(monkeypatch, fail)
    with pytest.raises(OSError, match="Bad file"):
        cli.main(["reenact"])


def test_interrupt_is_exit_130(monkeypatch):
    def interrupt(argv):
        raise KeyboardInterrupt

    replace_command(monkeypatch, interrupt)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["prepare"])
    assert exit_info.value.code == 130


@pytest.mark.parametrize(("wish", "given"), [(None, "1"), ("3", "3")])
def test_blas_does_not_spin_unless_the_user_asks_for_threads(monkeypatch, wish, given):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # so that it is put back
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    if wish is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", wish)
    seen = []
    replace_command(monkeypatch, lambda arguments: seen.append(os.environ["OPENBLAS_NUM_THREADS"]))
    cli.main(["prepare"])
    assert seen == [given]


def test_command_gets_what_follows_its_verb(monkeypatch):
    seen = []
    replace_command(monkeypatch, seen.extend)
    cli.main(["fine-tune", "a.jpg", "-o", "a.avatar.safetensors"])
    assert seen == ["a.jpg", "-o", "a.avatar.safetensors"]


@pytest.mark.parametrize("verb", cli.COMMANDS)
def test_every_command_has_a_module_with_a_main(verb):
    module = import_module("talkinghead.commands." + verb.replace("-", "_"))
    assert callable(module.main)


@pytest.mark.parametrize("name", talkinghead.__all__)
def test_public_names_are_there(name):
    assert getattr(talkinghead, name)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Puppet'"):
        talkinghead.Puppet
