"""tools/chaos, as long as a test may take."""

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "chaos"


def test_a_stopped_command_given_again_comes_to_the_same_results():
    command = [sys.executable, str(TOOL), "prepare", "fine-tune", "--seconds", "1", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert not report["wrong"] and sum(report["tried"].values()) >= 2
