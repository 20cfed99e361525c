"""The command, from a config to a model, and going on."""

import json
from pathlib import Path

import pytest
import yaml
from talking_corpus import make_corpus

from talkinghead.commands.speech_train import main
from talkinghead.errors import UserError
from talkinghead.speech.model import PhamModel, SpeechModel

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("speech") / "corpus")


def options(tmp_path, corpus, steps, **more):
    settings = {
        "model": {
            "class_path": "PhamRecipe",
            "init_args": {"hidden": 8, "layers": 1, "stretches": 2, "frames": 10, "dropout": 0.0},
        },
        "data": {"corpora": [str(corpus)]},
        "run": {
            "folder": str(tmp_path / "run"),
            "steps": steps,
            "save_every": 2,
            "show_every": 3,
            "log_every": 1,
            "accelerator": "cpu",
        },
    }
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    return ["--config", str(config), *[f"--{name.replace('__', '.')}={value}" for name, value in more.items()]]


def test_a_run_leaves_a_model_figures_and_a_sheet_and_goes_on(tmp_path, corpus):
    main(options(tmp_path, corpus, 4))
    run = tmp_path / "run"
    model = SpeechModel.load(run / "pham.speech.safetensors")
    assert isinstance(model, PhamModel) and model.provenance["steps"] == 4
    recipe = model.provenance["recipe"]
    assert recipe["model"]["init_args"]["hidden"] == 8 and recipe["data"]["corpora"] == ["corpus"]
    assert str(tmp_path) not in json.dumps(model.provenance)
    report = json.loads((run / "figures.json").read_text())
    assert report["step"] == 4 and "nearest audio" in report["figures"]
    assert {path.name for path in (run / "sheets").iterdir()} == {"0000003.png", "0000004.png"}
    with pytest.raises(UserError, match="4 steps already"):
        main(options(tmp_path, corpus, 4))
    main(options(tmp_path, corpus, 6, model__lr="1e-4"))
    assert SpeechModel.load(run / "pham.speech.safetensors").provenance["steps"] == 6
    rows = (run / "logs/from-0000004/metrics.csv").read_text()
    assert "train/expression" in rows and "validation/lve" in rows


def test_karras_run_reports_what_another_emotion_changes(tmp_path, corpus, caplog):
    arguments = options(tmp_path, corpus, 1)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    sizes = {"emotion": 4, "basis": 6, "segments": 2, "frames": 3}
    config["model"] = {"class_path": "KarrasRecipe", "init_args": sizes}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with caplog.at_level("INFO"):
        main(arguments)
    effect = json.loads((tmp_path / "run" / "figures.json").read_text())["emotion"]
    assert set(effect) == {"upper_face", "mouth", "timing", "mouth_correlation"}
    assert "another emotion at the same sound: upper face" in caplog.text


def test_wrong_settings_are_refused_in_a_sentence(tmp_path, corpus):
    with pytest.raises(UserError, match="speech-train:"):
        main(options(tmp_path, corpus, 4, model__depth=3))
    (tmp_path / "typo.yaml").write_text("run: {stepz: 3}\n")
    with pytest.raises(UserError, match=r"typo\.yaml: .*stepz"):
        main([*options(tmp_path, corpus, 4), "--config", str(tmp_path / "typo.yaml")])
    with pytest.raises(UserError, match="no speech corpus"):
        main(options(tmp_path, tmp_path / "nowhere", 4))


def test_nothing_to_learn_from_is_refused(tmp_path, corpus, monkeypatch):
    from talkinghead.speech.corpora import sequences as tracks

    monkeypatch.setattr(tracks, "read_tracks", lambda folders, split: [])
    with pytest.raises(UserError, match="no sequence for training"):
        main(options(tmp_path, corpus, 4))


@pytest.mark.parametrize("kind", ["karras", "pham", "voca"])
def test_the_configs_that_ship_name_settings_that_exist(kind, monkeypatch):
    from talkinghead.commands import speech_train

    seen = []
    monkeypatch.setattr(speech_train, "train", lambda recipe, data, run, *settings: seen.append((recipe, run)))
    main(["--config", str(CONFIGS / f"{kind}.yaml")])
    recipe, run = seen[0]
    assert recipe.kind == kind and run.steps > 0
