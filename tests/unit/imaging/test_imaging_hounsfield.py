"""CT numbers to density, against published points of the curve and against refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rerad.core import Grid, Image, ImageUnit, Modality
from rerad.core.scanner import Scanner
from rerad.errors import InputError, MissingDataError
from rerad.imaging.hounsfield import (
    HounsfieldCurve,
    beyond_curve,
    clipped_finding,
    curve_findings,
    density_from_hu,
    load_hounsfield_curve,
    read_curve_points,
)
from rerad.imaging.materials import DensityQuantity


def ct(values, unit=ImageUnit.HU):
    values = np.asarray(values)[None, None, :]
    grid = Grid(values.shape, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "1.2.3")
    return Image(values, grid, Modality.CT, unit)


def test_schneider_densities():
    # Schneider 2000 (doi:10.1088/0031-9155/45/2/314): air 1.21e-3, adipose tissue 1 at -98 HU
    # 0.93, water-like tissue 1.018 + 0.893e-3 H, skeleton 1.017 + 0.592e-3 H.
    curve = load_hounsfield_curve("schneider_2000")
    mass = np.interp([-1000, -98, 0, 500, 1000], curve.hu, curve.density_g_cm3)
    np.testing.assert_allclose(
        mass, [0.00121, 0.930, 1.018, 1.017 + 0.296, 1.017 + 0.592], atol=1.5e-3
    )


def test_the_engines_get_electrons_per_volume():
    # NIST SRD 126: Z/A of water 0.55508, cortical bone (ICRU 44, 1.92 g/cm3) 0.51478, adipose
    # tissue 0.55579. A curve of mass density through them gives electrons over those of water.
    hu = np.array([-1000.0, -100.0, 0.0, 1500.0])
    curve = HounsfieldCurve("t", hu, np.array([0.0012, 0.95, 1.0, 1.92]), "test")
    density = density_from_hu(ct(np.array([-100, 0, 1500], dtype=np.int16)), curve)
    expected = [0.95 * 0.55579 / 0.55508, 1.0, 1.92 * 0.51478 / 0.55508]
    np.testing.assert_allclose(density.values[0, 0], expected, rtol=2e-5)
    assert density.unit is ImageUnit.DENSITY
    as_given = replace(curve, quantity=DensityQuantity.ELECTRON)
    density = density_from_hu(ct(np.array([-100, 0, 1500], dtype=np.int16)), as_given)
    np.testing.assert_allclose(density.values[0, 0], [0.95, 1.0, 1.92], rtol=1e-6)


def test_integers_and_floats_agree_and_ends_are_held():
    curve = load_hounsfield_curve("schneider_2000")
    hu = np.array([-3024, -1024, -731, 14, 15, 77, 3071, 8000])
    whole = density_from_hu(ct(hu.astype(np.int16)), curve).values
    real = density_from_hu(ct(hu.astype(np.float32)), curve).values
    np.testing.assert_array_equal(whole, real)
    assert whole[0, 0, 0] == pytest.approx(0.00121 * 0.49919 / 0.55508, rel=1e-3)
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


@pytest.mark.parametrize(
    ("hu", "density", "said"),
    [
        ([-500.0, 0.0], [0.0, 1.0], "points from air"),
        ([-1000.0, 0.0], [0.2, 1.0], "points from air"),
        ([-1000.0, 0.0], [0.0, 0.95], "to at least 1 g/cm3"),
        ([-1000.0, 0.0, 1000.0], [0.0, 1.0, 0.9], "do not fall"),
        ([-1000.0, 0.0, np.nan], [0.0, 1.0, 2.0], "ascending"),
        ([-1000.0, 0.0], [0.0, 1.2], "about 1 g/cm3 at 0 HU"),
    ],
)
def test_a_curve_that_cannot_be_one_is_refused(hu, density, said):
    with pytest.raises(InputError, match=said):
        HounsfieldCurve("mine", np.array(hu), np.array(density), "test")


def test_what_the_curve_does_not_know_is_counted():
    short = HounsfieldCurve(
        "mine", np.array([-1000.0, 0.0, 1500.0]), np.array([0.0, 1.0, 1.9]), "test"
    )
    image = ct(np.array([0, 1500, 1501, 8000], dtype=np.int16))
    np.testing.assert_array_equal(beyond_curve(image, short), [[0, 0, 2], [0, 0, 3]])
    # A 12-bit scanner writes 3071 for whatever is denser; on a wider scale 3071 is a number.
    schneider = load_hounsfield_curve("schneider_2000")
    saturated = ct(np.array([0, 3071, 3071], dtype=np.int16))
    assert len(beyond_curve(saturated, schneider)) == 2
    assert len(beyond_curve(ct(np.array([0, 3000], dtype=np.int16)), schneider)) == 0
    text = clipped_finding(8000.0, 1.25, short).text
    assert "1.25 cm3" in text
    assert "8000 HU" in text


def test_scanner_and_voltage_are_compared():
    points = np.array([-1000.0, 0.0]), np.array([0.0, 1.0])
    curve = HounsfieldCurve(
        "clinic", *points, "test", scanner="Siemens SOMATOM Definition AS+", kvp=120.0
    )
    made = Scanner("SIEMENS", "SOMATOM Definition AS+", kvp=120.0)
    assert curve_findings(curve, made) == []
    other = Scanner("GE MEDICAL SYSTEMS", "Discovery CT590 RT", kvp=140.0)
    codes = [item.code for item in curve_findings(curve, other)]
    assert codes == ["hu-curve-of-another-scanner", "hu-curve-of-another-voltage"]
    assert [f.code for f in curve_findings(curve, Scanner())] == ["ct-scanner-unknown"]
    generic = load_hounsfield_curve("schneider_2000")
    codes = [item.code for item in curve_findings(generic, replace(made, kvp=100.0))]
    assert codes == ["hu-curve-generic", "hu-curve-of-another-voltage"]


def test_a_curve_is_read_from_csv(tmp_path: Path):
    path = tmp_path / "curve.csv"
    path.write_text("# phantom of 2025\nHU; density_g_cm3\n-1000;0.001\n\n0;1.0\n", "utf-8")
    assert read_curve_points(path) == ((-1000.0, 0.001), (0.0, 1.0))
    path.write_text("HU,density\n-1000,0.001\n0\n", "utf-8")
    with pytest.raises(InputError, match=r"curve\.csv: line 3: expected two numbers, got '0'"):
        read_curve_points(path)
    path.write_text("0,1\n", "utf-8")
    with pytest.raises(InputError, match="first line HU,density"):
        read_curve_points(path)
    with pytest.raises(InputError, match="readable CSV"):
        read_curve_points(tmp_path / "none.csv")
