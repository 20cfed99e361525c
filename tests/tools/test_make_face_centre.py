"""tools/make_face_centre as a person runs it."""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from talkinghead.face.identity import embed_faces
from talkinghead.portrait.data.shards import Shards
from talkinghead.portrait.evaluation.measures import to_tensor
from talkinghead.testing.synthetic import write_drawn_shards

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_face_centre"


def make(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_centre_is_the_mean_over_people_and_nothing_is_written_over(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=2, frames=3, side=96)
    out = tmp_path / "centre.safetensors"
    assert make(tmp_path / "shards", "-o", out).returncode == 0
    tracks = Shards(tmp_path / "shards")
    means = [
        embed_faces(to_tensor(one.frames()), torch.from_numpy(one.landmarks)).mean(0) for one in (tracks[0], tracks[1])
    ]
    torch.testing.assert_close(load_file(out)["centre"], (means[0] + means[1]) / 2, atol=1e-5, rtol=0)
    again = make(tmp_path / "shards", "-o", out)
    assert again.returncode == 1 and "exists" in again.stderr and "Traceback" not in again.stderr
