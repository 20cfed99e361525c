"""Long loops do not grow."""

import sys
from pathlib import Path

import numpy as np
import pytest

from talkinghead.memory import give_back


def resident() -> float:
    """Memory of this process, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_freed_memory_between_pieces_in_use_goes_back_to_the_system():
    pieces = [np.ones(12_500 + index % 7) for index in range(3000)]  # 0.1 MB each
    full = resident()
    kept = pieces[:: len(pieces) // 50]
    del pieces
    give_back()
    assert full - resident() > 250
    assert len(kept) > 1
