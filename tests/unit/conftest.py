"""What tests of benchmark scripts share."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Return what imports a benchmark script without running it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def read(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return read
