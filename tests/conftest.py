"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data for tests, or skip.

    It is named by the environment variable RERAD_SHARED_DATA, or lies beside the checkout.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RERAD_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real test data are not here: set RERAD_SHARED_DATA ({folder} is absent)")
    return folder
