"""Another library (GDCM, through SimpleITK) finds the same voxels at the same places."""

import numpy as np
import pytest
import SimpleITK as sitk

from rerad import dicom


def _same_place(image, grid):
    assert image.GetOrigin() == pytest.approx(grid.origin_mm, abs=1e-6)
    assert image.GetSpacing() == pytest.approx(grid.spacing_mm, rel=1e-6)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("kind", ["ct", "pt", "mr"])
def test_images(written, kind):
    folder = str(written.folder / kind)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    assert len(names) == len(list((written.folder / kind).iterdir()))
    theirs = sitk.ReadImage(names)
    ours = dicom.read_image(sorted((written.folder / kind).iterdir()))
    _same_place(theirs, ours.grid)
    np.testing.assert_allclose(sitk.GetArrayFromImage(theirs), ours.values, rtol=1e-6)


@pytest.mark.parametrize("name", ["rd", "rd_eqd2"])
def test_doses(written, name):
    theirs = sitk.ReadImage(str(written.path(name)))
    ours = dicom.read_dose if name == "rd" else dicom.read_effective_dose
    dose = ours(written.path(name))
    _same_place(theirs, dose.grid)
    scaling = float(theirs.GetMetaData("3004|000e"))  # Dose Grid Scaling, which it leaves to us
    stored = sitk.GetArrayFromImage(theirs)
    np.testing.assert_allclose(stored * scaling, dose.values, rtol=1e-5)
