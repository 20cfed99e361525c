"""What every test may use."""

import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the suite is a CPU suite

import hypothesis
import pytest

hypothesis.settings.register_profile("busy machine", deadline=None)  # a core that is lent elsewhere is no fault
hypothesis.settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real clips and photos beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real clips and photos (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """Inputs that once failed, beside the checkout; each has an equivalent that its test makes on the spot."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the inputs that once failed (../shared/cases) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def old_files() -> Path:
    """Files that an older version wrote; its README says how."""
    return Path(__file__).parent / "files" / "old"
