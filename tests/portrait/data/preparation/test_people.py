"""People of one clip told apart by their faces."""

from fractions import Fraction
from pathlib import Path

from talkinghead.face.detection.choice import make_detector
from talkinghead.portrait.data.preparation.clips import process_clip
from talkinghead.portrait.data.preparation.cropping import part_path
from talkinghead.portrait.data.preparation.people import name_people
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings


def test_one_track_needs_no_look(tmp_path):
    assert name_people("anna", [tmp_path / "absent.safetensors"]) == ["anna"]
    assert name_people("anna", []) == []


def test_the_same_person_keeps_the_name_and_another_gets_a_number(tmp_path, shared: Path):
    """Tracks of two real people, the second one's twice."""
    detector, settings = make_detector("dlib"), PrepareSettings(size=160, fps=Fraction(5), min_frames=4, max_frames=30)
    parts = []
    for number, video in enumerate(("id235_dpe/00.mp4", "id236_lia/00.mp4")):
        clip = Clip(shared / "data" / "clips" / "val" / video, video, "x")
        record, _ = process_clip(clip, settings, detector, tmp_path / f"clip{number}")
        parts += [part_path(tmp_path / f"clip{number}", track) for track in range(record.tracks_kept)]
    lengths = name_people("x", parts)
    assert len(parts) >= 4
    first = lengths[0]
    assert {*lengths} == {"x", "x#2"}
    assert lengths[1] == first
    assert lengths[-1] != first
