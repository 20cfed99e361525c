"""fine-tune, as a user runs it: photos in, an avatar and its preview out; mistakes are named before any work."""

import numpy as np
import pytest
from people import drawn_photos, tiny_head

from talkinghead.commands.fine_tune import VERB, main
from talkinghead.errors import UserError
from talkinghead.media.image import read_image, write_image
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.testing.synthetic import write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A head and a folder with two photos of a drawn person."""
    folder = tmp_path_factory.mktemp("work")
    tiny_head().save(folder / "tiny.head.safetensors", {})
    for index, frame in enumerate(drawn_photos(2, size=256).frames):
        write_image(folder / "anna" / f"{index}.png", frame)
    return folder


def test_photos_become_an_avatar_with_a_preview_and_its_story(folder, tmp_path):
    output = tmp_path / "anna.avatar.safetensors"
    command = [folder / "anna", "-o", output, "--head", folder / "tiny.head.safetensors", "--steps", 2]
    main([*map(str, command), "--consent", "she said yes"])
    avatar = Avatar.load(output)
    assert avatar.provenance["consent"] == "she said yes"
    assert avatar.provenance["steps"] == 2
    assert [photo["name"] for photo in avatar.provenance["photos"]] == ["0.png", "1.png"]
    assert read_image(tmp_path / "anna.preview.png").shape[1] >= 4 * 64


def test_no_steps_gives_the_feed_forward_avatar_without_a_preview_if_unwanted(folder, tmp_path):
    output = tmp_path / "anna.avatar.safetensors"
    command = [folder / "anna", "-o", output, "--head", folder / "tiny.head.safetensors", "--steps", 0, "--no-preview"]
    main(list(map(str, command)))
    assert Avatar.load(output).provenance["steps"] == 0
    assert not list(tmp_path.glob("*.png"))


def test_overwrite_replaces_avatar_and_preview(folder, tmp_path):
    command = [folder / "anna", "-o", tmp_path / "anna.avatar.safetensors", "--head", folder / "tiny.head.safetensors"]
    main([*map(str, command), "--steps", "0"])
    write_image(tmp_path / "anna.preview.png", np.zeros((8, 8, 3), np.uint8), overwrite=True)
    main([*map(str, command), "--steps", "0", "--overwrite"])
    assert read_image(tmp_path / "anna.preview.png").shape[1] >= 4 * 64


def test_photos_and_frames_of_a_video_are_learnt_together(folder, tmp_path):
    write_clip(tmp_path / "anna.mp4", 1, frames=6, sound=False)
    output = tmp_path / "anna.avatar.safetensors"
    command = [folder / "anna" / "0.png", "--video", tmp_path / "anna.mp4", "--frames", 2, "-o", output]
    main([*map(str, command), "--head", str(folder / "tiny.head.safetensors"), "--steps", "0", "--no-preview"])
    names = [photo["name"] for photo in Avatar.load(output).provenance["photos"]]
    assert names[0] == "0.png"
    assert len(names) == 3
    assert names[1].startswith("anna.mp4 at")


def test_an_existing_output_is_refused_before_the_head_is_read(tmp_path):
    (tmp_path / "anna.avatar.safetensors").touch()
    with pytest.raises(UserError, match="exists"):
        main(["a.jpg", "-o", str(tmp_path / "anna.avatar.safetensors"), "--head", "nowhere"])


def test_settings_come_from_a_file_and_the_command_line_wins(tmp_path):
    (tmp_path / "slow.yaml").write_text("generator_lr: 1.0e-5\nepochs: 3\naugment: {mirror: 0.25}\nframes: 4\n")
    arguments = ["a.jpg", "-o", "x", "--config", str(tmp_path / "slow.yaml"), "--epochs", "7", "--augment.warp", "0"]
    wanted, config = VERB.parse(arguments)
    assert (config.generator_lr, config.epochs, config.augment.mirror, config.augment.warp) == (1e-5, 7, 0.25, 0)
    assert wanted.frames == 4


def test_switches_are_words_of_their_own():
    wanted, _ = VERB.parse(["a.jpg", "-o", "x.safetensors", "--allow-strangers", "--no-preview"])
    assert wanted.allow_strangers
    assert not wanted.preview
    assert not wanted.allow_no_face
    assert wanted.sheet.name == "x.preview.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.jpg -o x --stepz 3", "--stepz"),
        ("a.jpg -o x --augment.miror 3", "--augment.miror"),
        ("a.jpg -o x --steps many", "steps"),
        ("a.jpg -o x --epochs 0", "epochs is 0"),
        ("a.jpg", "output"),
        ("-o x", "nothing to learn from"),
    ],
)
def test_mistakes_in_the_command_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        VERB.parse(arguments.split())


@pytest.mark.parametrize("text", ["generator_rate: 1.0e-5", "augment: {miror: 1}", "epochs: many", "epochs: ["])
def test_a_mistake_in_a_file_is_named_with_the_file_it_stands_in(tmp_path, text):
    for name, content in {"first": "epochs: 3", "typo": text, "last": "epochs: 4"}.items():
        (tmp_path / f"{name}.yaml").write_text(content + "\n")
    files = [word for name in ("first", "typo", "last") for word in ("--config", str(tmp_path / f"{name}.yaml"))]
    with pytest.raises(UserError, match=rf"typo\.yaml: .*({text.split(': ')[0]}|parsing)"):
        VERB.parse(["a.jpg", "-o", "x", *files])


def test_help_shows_examples_and_settings(capsys):
    with pytest.raises(SystemExit):
        VERB.parse(["--help"])
    page = capsys.readouterr().out
    assert "talkinghead fine-tune anna1.jpg anna2.jpg -o anna.avatar.safetensors" in page
    assert "--generator-lr" in page


def test_a_strange_photo_is_refused_by_name(folder, tmp_path):
    write_image(tmp_path / "wall.png", np.full((128, 128, 3), 90, np.uint8))
    head = str(folder / "tiny.head.safetensors")
    with pytest.raises(UserError, match=r"wall\.png: no face"):
        main([str(tmp_path / "wall.png"), "-o", str(tmp_path / "x.safetensors"), "--head", head])


def test_a_photo_is_never_written_over(tmp_path):
    write_image(tmp_path / "anna.preview.png", np.zeros((8, 8, 3), np.uint8))
    photo = str(tmp_path / "anna.preview.png")
    before = (tmp_path / "anna.preview.png").read_bytes()
    with pytest.raises(UserError, match="ends in .avatar.safetensors"):
        main([photo, "-o", photo, "--overwrite"])
    with pytest.raises(UserError, match="made from"):
        main([photo, "-o", str(tmp_path / "anna.avatar.safetensors"), "--overwrite"])
    with pytest.raises(UserError, match="anna.preview.png exists"):
        main([photo, "-o", str(tmp_path / "anna.avatar.safetensors")])
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        main([photo, "-o", str(tmp_path / "folder.safetensors"), "--overwrite"])
    assert (tmp_path / "anna.preview.png").read_bytes() == before


@pytest.mark.parametrize("option", ["--accelerator", "--precision"])
def test_what_this_machine_cannot_do_is_said_before_the_work(tmp_path, option):
    with pytest.raises(UserError, match="'abacus'"):
        main(["a.jpg", "-o", str(tmp_path / "a.safetensors"), option, "abacus"])


def test_a_config_that_is_no_text_is_named(tmp_path):
    (tmp_path / "b.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="b.yaml: not a YAML file of settings"):
        VERB.parse(["a.jpg", "-o", "x", "--config", str(tmp_path / "b.yaml")])
