"""However the patient lies, the value at a physical point stays the same."""

import itertools
from pathlib import Path

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.core import PatientPosition
from rerad.errors import DicomError

# Direction of rows and of columns as scanners and planning systems write them.
USUAL = {
    "HFS": [1, 0, 0, 0, 1, 0],
    "HFP": [-1, 0, 0, 0, -1, 0],
    "FFS": [-1, 0, 0, 0, 1, 0],
    "FFP": [1, 0, 0, 0, -1, 0],
}
# Sagittal and coronal cuts, and a left-handed order of rows and columns.
UNUSUAL = {
    "sagittal": [0, 1, 0, 0, 0, -1],
    "coronal": [1, 0, 0, 0, 0, -1],
    "transposed": [0, 1, 0, 1, 0, 0],
}


def _truth(points: np.ndarray) -> np.ndarray:
    """Whole numbers that tell every lattice point from every other."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.rint(7 * x / 2.0 + 61 * y / 3.0 + 487 * z / 4.0).astype(int) + 4000


def _stack(orientation: list[int], shape: tuple[int, int, int], order: int = 1):
    """Return position of voxel [0, 0, 0], the points of all voxels, and spacings (i, j, k)."""
    along_i, along_j = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_i, along_j)
    lattice = np.array([2.0, 3.0, 4.0])
    spacing = [float(np.abs(d) @ lattice) for d in (along_i, along_j, normal)]
    k, j, i = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    first = np.array([-6.0, 9.0, 20.0])
    points = (
        first
        + i[..., None] * spacing[0] * along_i
        + j[..., None] * spacing[1] * along_j
        + k[..., None] * spacing[2] * order * normal
    )
    return first, points, spacing


def _write_ct_like(
    folder: Path, source: Path, orientation: list[int], position: str
) -> list[Path]:
    shape = (5, 4, 6)
    _, points, spacing = _stack(orientation, shape)
    values = _truth(points)
    folder.mkdir()
    for k in range(shape[0]):
        dataset = pydicom.dcmread(source)
        dataset.SOPInstanceUID = f"2.25.{k + 1}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.ImageOrientationPatient = orientation
        dataset.ImagePositionPatient = [float(v) for v in points[k, 0, 0]]
        dataset.PixelSpacing = [spacing[1], spacing[0]]
        dataset.PatientPosition = position
        dataset.Rows, dataset.Columns = shape[1:]
        dataset.RescaleIntercept = -4000
        dataset.PixelData = values[k].astype("<i2").tobytes()
        dataset.save_as(folder / f"{(k * 3) % 5}.dcm")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("case", [*USUAL, *UNUSUAL])
def test_image_values_stay_at_their_points(tmp_path, written, case):
    orientation = {**USUAL, **UNUSUAL}[case]
    position = case if case in USUAL else "HFS"
    paths = _write_ct_like(tmp_path / "ct", written.ct_paths[0], orientation, position)
    image = dicom.read_image(paths)
    assert image.patient_position is PatientPosition(position)
    assert image.grid.spacing_mm == pytest.approx((2.0, 3.0, 4.0))
    indices = np.moveaxis(np.indices(image.grid.shape), 0, -1)
    np.testing.assert_array_equal(image.values, _truth(image.grid.points(indices)) - 4000)
    if case in USUAL:
        heights = image.grid.axes_mm[2]
        for uid, z in zip(image.instance_uids, heights, strict=True):
            slices = [pydicom.dcmread(p) for p in paths]
            assert z == next(s.ImagePositionPatient[2] for s in slices if s.SOPInstanceUID == uid)
    elif case in {"sagittal", "coronal"}:
        assert image.instance_uids == ()


@pytest.mark.parametrize(
    ("case", "convention", "order"),
    [
        *itertools.product(USUAL, ["relative"], [1, -1]),
        *itertools.product(USUAL, ["absolute"], [1, -1]),
        ("sagittal", "relative", 1),
        ("coronal", "relative", -1),
        ("transposed", "relative", 1),
    ],
)
def test_dose_values_stay_at_their_points(tmp_path, written, case, convention, order):
    orientation = {**USUAL, **UNUSUAL}[case]
    shape = (5, 4, 6)
    first, points, spacing = _stack(orientation, shape, order)
    dataset = pydicom.dcmread(written.path("rd"))
    dataset.ImageOrientationPatient = orientation
    dataset.ImagePositionPatient = [float(v) for v in first]
    dataset.PixelSpacing = [spacing[1], spacing[0]]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = shape
    offsets = order * spacing[2] * np.arange(5)
    dataset.GridFrameOffsetVector = list(
        offsets if convention == "relative" else points[:, 0, 0, 2]
    )
    dataset.DoseGridScaling = 0.01
    dataset.PixelData = _truth(points).astype("<u2").tobytes()
    dataset.save_as(tmp_path / "dose.dcm")
    dose = dicom.read_dose(tmp_path / "dose.dcm")
    assert dose.grid.spacing_mm == pytest.approx((2.0, 3.0, 4.0))
    indices = np.moveaxis(np.indices(dose.grid.shape), 0, -1)
    np.testing.assert_allclose(dose.values, _truth(dose.grid.points(indices)) * 0.01, rtol=1e-6)


@pytest.mark.parametrize("position", list(PatientPosition))
@pytest.mark.parametrize("kind", ["ct", "pt", "mr"])
def test_written_position_returns(tmp_path, written, position, kind):
    from dataclasses import replace

    image = replace(
        {"ct": written.ct, "pt": written.pet, "mr": written.mr}[kind], patient_position=position
    )
    patient = dicom.read_patient(written.path("rs"))
    dicom.write_image(image, patient, tmp_path / kind, study=written.header)
    read = dicom.read_image(sorted((tmp_path / kind).iterdir()))
    assert read.patient_position is position
    assert read.grid.has_same_voxels(image.grid)


@pytest.mark.parametrize("position", ["HFDR", "HFDL", "FFDR", "FFDL", "SITTING", None])
def test_positions_that_are_not_handled_are_refused_by_name(tiny, edit, position):
    for path in tiny.ct_paths:
        edit(path, PatientPosition=position)
    expected = position or "found none"
    with pytest.raises(DicomError, match=expected):
        dicom.read_image(tiny.ct_paths)


def _rotate(paths: list[Path], angle_deg: float) -> None:
    """Turn a stack about the patient's x axis, as an oblique scan is."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    for path in paths:
        dataset = pydicom.dcmread(path)
        place = rotation @ np.array(dataset.ImagePositionPatient, dtype=float)
        dataset.ImagePositionPatient = [round(float(v), 6) for v in place]
        dataset.ImageOrientationPatient = [1, 0, 0, *(round(float(v), 8) for v in rotation[:, 1])]
        dataset.save_as(path)


def test_oblique_ct_is_refused(tiny):
    _rotate(tiny.ct_paths, 5.0)
    with pytest.raises(DicomError, match="oblique or tilted"):
        dicom.read_image(tiny.ct_paths)


def test_oblique_mr_is_resampled_to_axial(tiny):
    paths = sorted((tiny.folder / "mr").iterdir())
    for k, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        j, i = np.indices((dataset.Rows, dataset.Columns))
        dataset.PixelData = (100 + 10 * i + 20 * j + 30 * k).astype("<i2").tobytes()
        dataset.save_as(path)
    flat = dicom.read_image(paths)
    _rotate(paths, 10.0)
    turned = dicom.read_image(paths)
    assert turned.instance_uids == ()
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    indices = np.moveaxis(np.indices(turned.grid.shape), 0, -1)
    points = turned.grid.points(indices)
    source = flat.grid.indices(points @ rotation)  # inverse rotation: rows times the matrix
    inside = np.all((source >= 0) & (source <= np.array(flat.grid.shape) - 1), axis=-1)
    assert np.count_nonzero(inside) > 20
    expected = 100 + source @ np.array([30.0, 20.0, 10.0])
    np.testing.assert_allclose(turned.values[inside], expected[inside], atol=1e-2)


def test_gantry_tilt_is_refused(tiny):
    for k, path in enumerate(tiny.ct_paths):
        dataset = pydicom.dcmread(path)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + 0.3 * k, z]
        dataset.save_as(path)
    with pytest.raises(DicomError, match="gantry tilt"):
        dicom.read_image(tiny.ct_paths)
