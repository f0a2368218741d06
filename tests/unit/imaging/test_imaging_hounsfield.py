"""CT numbers to density, against published points of the curve and against refusals."""

import numpy as np
import pytest

from rerad.core import Grid, Image, ImageUnit, Modality
from rerad.errors import InputError, MissingDataError
from rerad.imaging.hounsfield import HounsfieldCurve, density_from_hu, load_hounsfield_curve


def ct(values, unit=ImageUnit.HU):
    values = np.asarray(values)[None, None, :]
    grid = Grid(values.shape, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "1.2.3")
    return Image(values, grid, Modality.CT, unit)


def test_schneider_densities():
    # Schneider 2000 (doi:10.1088/0031-9155/45/2/314): air 1.21e-3, adipose tissue 1 at -98 HU
    # 0.93, water-like tissue 1.018 + 0.893e-3 H, skeleton 1.017 + 0.592e-3 H.
    curve = load_hounsfield_curve("schneider_2000")
    density = density_from_hu(ct(np.array([-1000, -98, 0, 500, 1000], dtype=np.int16)), curve)
    expected = [0.00121, 0.930, 1.018, 1.017 + 0.296, 1.017 + 0.592]
    np.testing.assert_allclose(density.values[0, 0], expected, atol=1.5e-3)
    assert density.unit is ImageUnit.DENSITY


def test_integers_and_floats_agree_and_ends_are_held():
    curve = load_hounsfield_curve("schneider_2000")
    hu = np.array([-3024, -1024, -731, 14, 15, 77, 3071, 8000])
    whole = density_from_hu(ct(hu.astype(np.int16)), curve).values
    real = density_from_hu(ct(hu.astype(np.float32)), curve).values
    np.testing.assert_array_equal(whole, real)
    assert whole[0, 0, 0] == pytest.approx(0.00121)
    assert np.all(np.diff(whole[0, 0]) >= 0)


def test_what_is_not_hu_is_refused():
    curve = load_hounsfield_curve("water_linear")
    with pytest.raises(InputError, match="in HU"):
        density_from_hu(ct([1.0, 2.0], ImageUnit.DENSITY), curve)
    with pytest.raises(InputError, match="finite CT numbers"):
        density_from_hu(ct(np.array([0.0, np.nan], dtype=np.float32)), curve)
    with pytest.raises(MissingDataError, match="schneider_2000"):
        load_hounsfield_curve("no_such_scanner")
    with pytest.raises(InputError, match="ascending"):
        HounsfieldCurve("back", np.array([0.0, -1.0]), np.array([1.0, 2.0]), "test")
