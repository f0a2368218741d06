"""DVHs of spheres, cylinders and cones in a linear dose gradient against closed formulas.

The scheme of Nelms et al. (2015), Med. Phys. 42, 4435, doi:10.1118/1.4923175: a dose of 1 Gy/mm
along one axis, bodies of 24 mm (and, beyond that paper, spheres down to 3 mm), contours every 1 to
3 mm, dose voxels of 1 to 3 mm that lie askew to the body. The formulas below are the sections of
each body perpendicular to the gradient, integrated numerically on 200 000 steps.
"""

import numpy as np
import pytest

from rerad.core import Contour, Dose, Grid, Structure, StructureKind
from rerad.evaluation import dvh

BASE_GY = 40.0
FRAME = "1.2.3"


class Sphere:
    def __init__(self, diameter_mm):
        self.r = self.half = diameter_mm / 2
        self.volume_mm3 = 4 / 3 * np.pi * self.r**3
        self.mean_z = 0.0

    def radius(self, z):
        return np.sqrt(np.maximum(self.r**2 - z**2, 0))

    def section(self, axis, t):
        return np.pi * np.maximum(self.r**2 - t**2, 0)


class Cylinder:
    def __init__(self, diameter_mm, height_mm):
        self.r, self.half = diameter_mm / 2, height_mm / 2
        self.volume_mm3 = np.pi * self.r**2 * height_mm
        self.mean_z = 0.0

    def radius(self, z):
        return np.where(np.abs(z) <= self.half, self.r, 0.0)

    def section(self, axis, t):
        if axis == 2:
            return np.pi * self.r**2 * (np.abs(t) <= self.half)
        return 4 * self.half * np.sqrt(np.maximum(self.r**2 - t**2, 0))


class Cone:
    """Base below, tip above."""

    def __init__(self, diameter_mm, height_mm):
        self.r, self.half = diameter_mm / 2, height_mm / 2
        self.volume_mm3 = np.pi * self.r**2 * height_mm / 3
        self.mean_z = -height_mm / 4

    def radius(self, z):
        return self.r * (self.half - z) / (2 * self.half) * (np.abs(z) <= self.half)

    def section(self, axis, t):
        if axis == 2:
            return np.pi * self.radius(t) ** 2
        s = np.clip(np.abs(t) / self.r, 1e-12, 1.0)
        root = np.sqrt(1 - s**2)
        return 2 * self.r * self.half * (root - s**2 * np.log((1 + root) / s))


def _contours(body, spacing_mm, shift):
    """Return the body cut by planes; `shift` 0.5 puts the ends of the body between planes."""
    n = np.arange(-60, 61)
    heights = (n + shift) * spacing_mm
    cuts = [Contour(z, _circle(float(body.radius(z)))) for z in heights if body.radius(z) > 1e-9]
    return Structure("body", StructureKind.GTV, FRAME, tuple(cuts), spacing_mm)


def _circle(radius, n=360):
    """Return a polygon with the area of the circle."""
    angles = np.arange(n) * 2 * np.pi / n
    size = radius * np.sqrt((2 * np.pi / n) / np.sin(2 * np.pi / n))
    return size * np.column_stack([np.cos(angles), np.sin(angles)])


def _gradient(spacing_mm, axis):
    n = int(48 / spacing_mm)
    grid = Grid((n, n, n), (-23.6, -23.9, -23.8), (spacing_mm,) * 3, FRAME)
    shape = [1, 1, 1]
    shape[2 - axis] = n
    values = BASE_GY + grid.axes_mm[axis].reshape(shape) * np.ones(grid.shape)
    return Dose(values, grid)


def _hottest_gy(body, axis, volume_mm3):
    """Return the dose that exactly `volume_mm3` of the body exceeds."""
    edge = body.half if axis == 2 else body.r
    t = np.linspace(-edge, edge, 200_001)
    section = body.section(axis, t)
    from_top = np.cumsum(((section[1:] + section[:-1]) / 2 * np.diff(t))[::-1])
    return BASE_GY + float(np.interp(volume_mm3, from_top, t[::-1][1:]))


def _errors_gy(body, found, axis):
    """Return the errors of Dmean, D99, D95, D50, D5, D1 % and D0.03cc in Gy (here: in mm)."""
    mean = BASE_GY + (body.mean_z if axis == 2 else 0.0)
    errors = {"mean": found.mean_gy - mean}
    for percent in (99, 95, 50, 5, 1):
        exact = _hottest_gy(body, axis, percent / 100 * body.volume_mm3)
        errors[f"D{percent}"] = found.dose_at_volume(percent=percent) - exact
    if body.volume_mm3 > 60:
        exact = _hottest_gy(body, axis, 30.0)
        errors["D0.03cc"] = found.dose_at_volume(cc=0.03) - exact
    return errors


@pytest.mark.parametrize("axis", [1, 2], ids=["AP", "SI"])
@pytest.mark.parametrize("spacing_mm", [1.0, 2.0, 3.0])
def test_a_cylinder_cut_into_whole_slabs_is_exact(spacing_mm, axis):
    body = Cylinder(24, 24)
    shift = 0.5 if (24 / spacing_mm) % 2 == 0 else 0.0
    found = dvh(_gradient(spacing_mm, axis), _contours(body, spacing_mm, shift))
    assert found.volume_cc * 1000 == pytest.approx(body.volume_mm3, rel=2e-4)
    assert max(map(abs, _errors_gy(body, found, axis).values())) < 0.05


@pytest.mark.parametrize("axis", [1, 2], ids=["AP", "SI"])
@pytest.mark.parametrize(("spacing_mm", "most_gy"), [(1.0, 0.1), (2.0, 0.25), (3.0, 0.4)])
def test_cone(spacing_mm, most_gy, axis):
    body = Cone(24, 24)
    shift = 0.5 if (24 / spacing_mm) % 2 == 0 else 0.0
    found = dvh(_gradient(spacing_mm, axis), _contours(body, spacing_mm, shift))
    assert found.volume_cc * 1000 == pytest.approx(body.volume_mm3, rel=0.005)
    assert max(map(abs, _errors_gy(body, found, axis).values())) < most_gy


# Volume errors of a sphere are those of counting slabs: they follow from where the planes lie.
SPHERES = [
    # diameter, contour spacing, volume error, largest error AP and SI (Gy at 1 Gy/mm)
    (24, 1.0, 0.002, 0.06, 0.12),
    (24, 2.0, 0.007, 0.06, 0.55),
    (24, 3.0, 0.016, 0.12, 0.80),
    (12, 1.0, 0.007, 0.05, 0.25),
    (12, 2.0, 0.028, 0.05, 0.48),
    (6, 1.0, 0.028, 0.05, 0.25),
    (3, 1.0, 0.112, 0.06, 0.38),
]


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize(("diameter_mm", "spacing_mm", "volume", "most_ap", "most_si"), SPHERES)
def test_spheres(diameter_mm, spacing_mm, volume, most_ap, most_si, shift):
    body = Sphere(diameter_mm)
    structure = _contours(body, spacing_mm, shift)
    for axis, most_gy in ((1, most_ap), (2, most_si)):
        found = dvh(_gradient(spacing_mm, axis), structure)
        assert found.volume_cc * 1000 == pytest.approx(body.volume_mm3, rel=volume)
        assert max(map(abs, _errors_gy(body, found, axis).values())) < most_gy


@pytest.mark.parametrize("diameter_mm", [3, 6])
def test_the_size_of_dose_voxels_does_not_matter_in_a_gradient(diameter_mm):
    """A 3 mm sphere lies in a single dose voxel of 3 mm and comes out the same as on 1 mm."""
    structure = _contours(Sphere(diameter_mm), 1.0, 0.0)
    fine, coarse = (dvh(_gradient(s, 2), structure) for s in (1.0, 3.0))
    for percent in (99, 50, 1):
        assert coarse.dose_at_volume(percent=percent) == pytest.approx(
            fine.dose_at_volume(percent=percent), abs=1e-3
        )


def test_volumes_are_right_on_average_wherever_the_planes_cut():
    """Cavalieri: a sphere of 6 mm on planes 2 mm apart errs by up to 11 %, on average by none."""
    body = Sphere(6)
    dose = _gradient(3.0, 2)
    found = [
        dvh(dose, _contours(body, 2.0, shift)).volume_cc for shift in (np.arange(20) + 0.5) / 20
    ]
    assert np.mean(found) * 1000 == pytest.approx(body.volume_mm3, rel=0.005)
