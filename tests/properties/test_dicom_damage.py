"""Damaged files: refused with a `ReradError`, or read; never another exception."""

import numpy as np
import pytest

from rerad import dicom
from rerad.core import Grid, Image, ImageUnit, Modality, Patient
from rerad.errors import ReradError


@pytest.fixture(scope="module")
def slice_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage") / "ct"
    uids = dicom.UidFactory("damage")
    study = dicom.StudyHeader(uids.new("study"), uids=uids)
    grid = Grid((1, 6, 8), (0.0, 0.0, 0.0), (1.0, 1.0, 3.0), uids.new("frame"))
    values = np.arange(48, dtype=np.int16).reshape(grid.shape)
    image = Image(values, grid, Modality.CT, ImageUnit.HU)
    dicom.write_image(image, Patient("P"), folder, study=study)
    return folder / "CT_0001.dcm"


def test_damaged_bytes_never_surprise(slice_path, tmp_path):
    rng = np.random.default_rng(11)
    whole = np.frombuffer(slice_path.read_bytes(), dtype=np.uint8)
    path = tmp_path / "damaged.dcm"
    n_refused = 0
    for _ in range(400):
        damaged = whole.copy()
        where = rng.integers(132, len(whole), size=3)
        damaged[where] = rng.integers(0, 256, size=3)
        path.write_bytes(damaged.tobytes())
        scan = dicom.scan_folder(tmp_path)
        assert len(scan.items) + len(scan.skipped) == 1
        try:
            dicom.read_image([path])
        except ReradError:
            n_refused += 1
    assert 50 < n_refused < 400
