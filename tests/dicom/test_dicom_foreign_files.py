"""Files that other systems wrote, as pydicom ships them for its own tests."""

from pathlib import Path

import pydicom
import pytest

from rerad import dicom
from rerad.errors import DicomError, ReradError

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def _file(name: str) -> Path:
    path = FILES / name
    if not path.is_file():
        pytest.skip(f"pydicom ships no {name} here")
    return path


def test_ct_of_a_ge_scanner():
    image = dicom.read_image([_file("CT_small.dcm")])
    assert image.grid.shape == (1, 128, 128)
    assert image.grid.spacing_mm == pytest.approx((0.661468, 0.661468, 5.0))
    assert int(image.values.min()) == 128 - 1024
    assert int(image.values.max()) == 2191 - 1024


def test_plan_of_an_old_planning_system():
    plan = dicom.read_plan(_file("rtplan.dcm"))
    assert plan.n_fractions_planned == 30
    assert [p.dose_gy for p in plan.prescriptions] == [30.826203]
    (beam,) = plan.beams
    assert beam.control_points[0].leaf_positions_mm.shape[1] == 0
    assert beam.meterset_mu == pytest.approx(116.0036697, abs=1e-6)


def test_structures_without_meta_information():
    structures = dicom.read_structure_set(_file("rtstruct.dcm"))
    assert structures.names == ("patient", "Isocenter 1", "Isocenter 2")
    assert [len(s.contours) for s in structures.structures] == [3, 0, 0]
    assert structures["patient"].slice_thickness_mm == 10.0


def test_relative_beam_dose_is_refused():
    with pytest.raises(DicomError, match="expected DoseUnits GY, got RELATIVE"):
        dicom.read_dose(_file("rtdose.dcm"))


def test_a_folder_of_all_sorts_is_scanned_to_the_end():
    scan = dicom.scan_folder(FILES)
    n_files = len([path for path in FILES.rglob("*") if path.is_file()])
    assert sum(item.n_files for item in scan.items) + len(scan.skipped) == n_files
    assert all(entry.reason and "\n" not in entry.reason for entry in scan.skipped)
    readers = {
        "RTSTRUCT": dicom.read_structure_set,
        "RTPLAN": dicom.read_plan,
        "RTDOSE": dicom.read_dose,
    }
    refusals = []
    for item in scan.items:
        try:
            if item.kind in readers:
                readers[item.kind](item.paths[0])
            else:
                dicom.read_image(item.paths)
        except ReradError as error:
            refusals.append(str(error))
    assert refusals
    assert not any("\n" in text for text in refusals)
