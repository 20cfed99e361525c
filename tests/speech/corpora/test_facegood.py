"""Folders of weights with sound."""

import numpy as np
import pytest
from speech_recordings import RATE, opening, write_facegood

from talkinghead.errors import UserError
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.facegood import column_shift, expressions, find_facegood, session
from talkinghead.speech.corpora.write import write_corpus

NAMES = ["jaw", "press_l", "press_r", "funnel_dl", "funnel_dr", "mouth_oh_c", "last"]
MAPPING = (
    "arkit,columns (maximum of),moves\njawOpen,jaw,yes\nmouthPressLeft,press_l,yes\n"
    "mouthFunnel,funnel_dl funnel_dr,yes\n"
)


def weights(frames: int = 90, seed: int = 0, *, shift: int = 0) -> np.ndarray:
    """Columns in the order of NAMES, `shift` places later; left and right nearly agree."""
    random = np.random.default_rng(seed)
    jaw, press, funnel = (opening(frames, seed=seed + i) for i in range(3))
    noise = 0.01 * random.random((frames, 2))
    columns = [jaw, 0.5 * press, 0.5 * press + noise[:, 0], 0.3 * funnel, 0.3 * funnel + noise[:, 1], 0 * jaw, 0 * jaw]
    return np.roll(np.stack(columns, 1), shift, 1)


@pytest.fixture
def folder(tmp_path):
    """Five recordings of two sessions, columns one place late."""
    names = ["one_1_01", "one_1_02", "one_1_03", "one_2_07", "one_2_08"]
    arrays = {name: weights(seed=10 * seed, shift=1) for seed, name in enumerate(names)}
    write_facegood(
        tmp_path / "shirley", NAMES, arrays, {name: opening(90, seed=10 * i) for i, name in enumerate(names)}
    )
    (tmp_path / "shirley" / "arkit.csv").write_text(MAPPING)
    return tmp_path / "shirley"


def test_the_last_recording_of_each_session_is_for_validation(folder):
    splits = {one.name: one.split for one in find_facegood(folder).recordings}
    assert {name for name, split in splits.items() if split == "val"} == {"one_1_03", "one_2_08"}
    assert session("1114_2_05") == "1114_2"


def test_a_corpus_of_the_folder_has_the_jaw_in_its_place(folder, tmp_path):
    source = find_facegood(folder)
    assert source.about["columns_after_their_names"] == 1
    write_corpus(source, tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert (corpus.kind, corpus.speakers, len(corpus.of("train"))) == ("facegood", ("shirley",), 3)
    first = corpus.of("train")[0]
    motion = first.motion
    jaw = motion.blendshapes[:, motion.blendshape_names.index("jawOpen")]
    assert np.allclose(jaw, weights()[:, 0], atol=1e-6)
    assert (motion.fps, motion.seconds, first.checks["sound_minus_motion"]) == (30, 3.0, 0.0)
    assert first.checks["correlation"] > 0.6
    assert len(first.audio(RATE)) == 3 * RATE
    assert motion.landmarks.min() > 0.1 and motion.landmarks.max() < 0.95


def test_columns_are_shifted_only_where_left_and_right_say_so():
    assert column_shift(weights(), NAMES) == 0
    assert column_shift(weights(shift=1), NAMES) == 1
    assert column_shift(np.zeros((10, 7)), NAMES) == 0


def test_the_largest_column_drives_an_expression():
    columns = np.zeros((1, 7), np.float32)
    columns[0, 3:6] = [0.2, 0.6, 0.4]
    rig = expressions(columns, NAMES, {"mouthFunnel": ["funnel_dl", "funnel_dr"]}, 0)
    from talkinghead.rig.arkit import RIG_NAMES

    assert rig[0, RIG_NAMES.index("mouthFunnel")] == pytest.approx(0.6)
    assert rig[0, RIG_NAMES.index("mouthPucker")] == pytest.approx(0.4)  # mouth_oh_c has no expression of its own


def test_without_a_mapping_the_names_are_expressions(tmp_path):
    columns = np.stack([opening(60), opening(60, seed=1)], 1)
    write_facegood(tmp_path / "a", ["jawOpen", "mouthSmile_L"], {"x": columns}, {"x": opening(60)})
    (one,) = find_facegood(tmp_path / "a").recordings
    (take,) = one.read()
    assert one.split == "train"
    assert take.motion.blendshapes[:, take.motion.blendshape_names.index("jawOpen")] == pytest.approx(columns[:, 0])


def test_columns_that_are_not_there_are_named_in_the_report(folder):
    (folder / "arkit.csv").write_text(MAPPING + "browDownLeft,brow_l,no\n")
    assert find_facegood(folder).about["unknown_columns"] == ["brow_l"]


def spoil(folder, what):
    match what:
        case "no recordings":
            for path in folder.glob("*.npy"):
                path.unlink()
        case "no names":
            (folder / "names.txt").unlink()
        case "few names":
            (folder / "names.txt").write_text("jaw")
        case "no array":
            (folder / "one_1_01.npy").write_text("x")
        case "integers":
            np.save(folder / "one_1_01.npy", np.zeros((3, 7), int))
        case "no table":
            (folder / "arkit.csv").write_text("x\n")
        case "strange table":
            (folder / "arkit.csv").write_text("arkit,columns\njawOpen,other\n")
        case "binary table":
            (folder / "arkit.csv").write_bytes(b"arkit,columns\n\xff\xfe")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no recordings", "no NAME.npy"),
        ("no names", "put the names of the 7 columns"),
        ("few names", "1 names for 7 columns"),
        ("no array", "not an array of weights"),
        ("integers", "finite floats"),
        ("no table", "columns arkit and columns"),
        ("strange table", "none of its columns"),
        ("binary table", "cannot be read"),
    ],
)
def test_mistakes_are_said_in_a_sentence(folder, what, message):
    spoil(folder, what)
    with pytest.raises(UserError, match=message):
        find_facegood(folder)


def test_a_recording_with_other_columns_is_refused(folder):
    np.save(folder / "one_1_01.npy", np.zeros((3, 7), np.float32))
    source = find_facegood(folder)
    np.save(folder / "one_1_01.npy", np.zeros((3, 5), np.float32))
    with pytest.raises(UserError, match="5 columns"):
        source.recordings[0].read()


def test_the_real_recordings_follow_their_sound(shared):
    source = find_facegood(shared / "data" / "speech" / "facegood")
    assert source.about["columns_after_their_names"] == 1
    assert [one.split for one in source.recordings].count("val") == 2
    from talkinghead.face.landmarks import mouth_opening
    from talkinghead.speech.mouth_check import check_mouth

    (take,) = source.recordings[-1].read()
    check = check_mouth(mouth_opening(take.motion.landmarks), take.waveform, take.sample_rate, fps=take.motion.fps)
    assert check is not None
    assert check.correlation > 0.7 and abs(check.lag_seconds) < 0.04
