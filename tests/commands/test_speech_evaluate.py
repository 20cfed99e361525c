"""Models measured on speakers that they have not seen."""

import json

import pytest
from talking_corpus import make_corpus

from talkinghead.commands.speech_evaluate import main
from talkinghead.errors import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("speech") / "corpus")


def test_models_stand_in_one_table_beside_the_baselines(corpus, tmp_path, capsys):
    main(["pham", "karras", "--corpus", str(corpus), "-o", str(tmp_path / "figures.json")])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines[2:]]
    assert names == ["pham", "silent", "mean face", "nearest audio", "karras"]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["pham"]["lve"] != figures["karras"]["lve"]
    assert f"{figures['karras']['velocity']:.3f}" in lines[-1]
    assert figures["mean face"]["velocity"] == 0


def test_what_is_missing_is_said(corpus, tmp_path):
    with pytest.raises(UserError, match="needs --corpus"):
        main(["pham"])
    with pytest.raises(UserError, match="no_such"):
        main(["no_such", "--corpus", str(corpus)])
    (tmp_path / "figures.json").write_text("{}")
    with pytest.raises(UserError, match="exists"):
        main(["pham", "--corpus", str(corpus), "-o", str(tmp_path / "figures.json")])
