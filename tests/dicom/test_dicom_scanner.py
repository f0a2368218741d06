"""Which scanner a CT names."""

from pathlib import Path

import pydicom
import pytest

from rerad.core.scanner import Scanner
from rerad.dicom.scanner import read_scanner


def test_the_scanner_of_a_ct_is_read(tiny, tmp_path: Path) -> None:
    path = tiny.ct_paths[0]
    dataset = pydicom.dcmread(path)
    dataset.Manufacturer = "SIEMENS"
    dataset.ManufacturerModelName = "SOMATOM go.Open Pro"
    dataset.StationName = "CT1"
    dataset.KVP = "120"
    dataset.save_as(tmp_path / "ct.dcm")
    scanner = read_scanner(tmp_path / "ct.dcm")
    assert scanner == Scanner("SIEMENS", "SOMATOM go.Open Pro", "CT1", 120.0)
    assert scanner.text == "SIEMENS SOMATOM go.Open Pro at 120 kV"


@pytest.mark.parametrize("kvp", ["", "0"])
def test_what_is_not_said_is_unknown(tiny, tmp_path: Path, kvp: str) -> None:
    path = tiny.ct_paths[0]
    dataset = pydicom.dcmread(path)
    for keyword in ("Manufacturer", "ManufacturerModelName", "StationName"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.KVP = kvp
    dataset.save_as(tmp_path / "ct.dcm")
    scanner = read_scanner(tmp_path / "ct.dcm")
    assert scanner == Scanner()
    assert scanner.text == "a scanner that is not named"
