"""Voxels and points of a recalculation, on doses that are known in closed form."""

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    Contour,
    ControlPoint,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.errors import FrameMismatchError, InputError
from rerad.evaluation import GammaCriterion
from rerad.planning.dose_comparison import compare_doses, compare_structures
from rerad.planning.recalculation import (
    calculation_grid,
    direction_text,
    dose_at,
    lattice_over,
    on_grid,
)
from rerad.structures import EndSlab

GRID = Grid((9, 10, 11), (-25.0, -20.0, -16.0), (5.0, 4.5, 4.0), "frame")


def ramp(grid: Grid) -> Dose:
    """A dose that is linear in x, y and z."""
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    return Dose((10 + 0.1 * x + 0.05 * y - 0.02 * z).astype(np.float32), grid)


def box(name: str, half: float, kind: StructureKind) -> Structure:
    square = half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return stack(name, square, kind)


def diamond(name: str, half: float, kind: StructureKind) -> Structure:
    return stack(name, half * np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]]), kind)


def stack(name: str, corners: np.ndarray, kind: StructureKind) -> Structure:
    contours = tuple(Contour(z, corners) for z in np.arange(-12.0, 13.0, 4.0))
    return Structure(name, kind, "frame", contours, 4.0)


def test_a_lattice_is_continued_and_cropped_on_its_own_voxels() -> None:
    wide = lattice_over(GRID, np.array([-41.0, -8.0, -16.0]), np.array([12.0, 40.0, 7.9]))
    assert wide.spacing_mm == GRID.spacing_mm
    place = GRID.indices(wide.origin_mm)
    assert place == pytest.approx(np.rint(place))
    assert wide.origin_mm == pytest.approx((-40.0, -6.5, -16.0))
    assert wide.end_mm == pytest.approx((10.0, 38.5, 4.0))


def test_a_dose_is_linear_between_voxels_and_unknown_beyond_them() -> None:
    dose = ramp(GRID)
    assert dose_at(dose, (1.7, -3.3, 2.1)) == pytest.approx(10 + 0.17 - 0.165 - 0.042, rel=1e-6)
    assert np.isnan(dose_at(dose, (60.0, 0.0, 0.0)))
    finer = Grid((6, 7, 8), (-10.0, -9.0, -12.0), (2.5, 3.0, 5.0), "frame")
    assert on_grid(dose, finer) == pytest.approx(ramp(finer).values, rel=1e-5)
    with pytest.raises(FrameMismatchError):
        on_grid(dose, Grid((2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "other"))


def test_the_grid_holds_the_whole_body_and_has_an_end() -> None:
    image = Image(
        np.zeros((12, 40, 40), dtype=np.int16),
        Grid((12, 40, 40), (-78.0, -78.0, -22.0), (4.0, 4.0, 4.0), "frame"),
        Modality.CT,
        ImageUnit.HU,
    )
    body = box("Body", 50.0, StructureKind.EXTERNAL)
    grid = calculation_grid(image, body, like=GRID, spacing_mm=None)
    assert grid.spacing_mm == GRID.spacing_mm
    assert grid.origin_mm[0] <= -50.0
    assert grid.end_mm[1] >= 50.0
    tiny = Grid((4, 4, 4), (0.0, 0.0, 0.0), (0.2, 0.2, 0.2), "frame")
    with pytest.raises(InputError, match="coarser grid"):
        calculation_grid(image, body, like=tiny, spacing_mm=None)
    with pytest.raises(InputError, match="got neither"):
        calculation_grid(image, body, like=None, spacing_mm=None)


def test_only_the_body_is_judged() -> None:
    """Dose outside the outline differs by far, and nobody minds."""
    body = diamond("Body", 16.0, StructureKind.EXTERNAL)
    structures = StructureSet("set", (body, box("PTV", 7.0, StructureKind.PTV)))
    planned = ramp(GRID)
    values = planned.values * np.float32(1.01)
    values[:, :, -2:] = 99.0
    again = Dose(values, GRID)
    criteria = [GammaCriterion(d, 0.01, False, 10.0) for d in (1.2, 0.5)]
    found = compare_doses(planned, again, structures, criteria, n_fractions=5)
    assert [gamma.pass_rate for gamma in found.gammas] == [1.0, 0.0]
    assert found.ratio == pytest.approx(1.01, rel=1e-5)
    assert found.covered == pytest.approx(1.0, abs=0.01)
    assert np.isnan(found.planned.values).any()
    assert found.findings == ()
    slip = compare_doses(planned, again.scaled(5.0), structures, criteria, n_fractions=5)
    assert [finding.code for finding in slip.findings] == ["fractions-suspect"]
    compared, said = compare_structures(planned, again, structures, end_slab=EndSlab.FLAT)
    assert [item.name for item in compared] == ["PTV", "Body"]
    assert said == ()
    first = compared[0]
    assert first.planned is not None
    assert first.planned.mean_gy == pytest.approx(10.0, rel=1e-3)
    assert first.recalculated.mean_gy == pytest.approx(10.1, rel=1e-3)


def test_a_dose_elsewhere_or_of_nothing_is_refused() -> None:
    structures = StructureSet("set", (box("Body", 12.0, StructureKind.EXTERNAL),))
    criteria = [GammaCriterion(3.0, 2.0, False, 10.0)]
    empty = Dose(np.zeros(GRID.shape, dtype=np.float32), GRID)
    with pytest.raises(InputError, match="0 everywhere"):
        compare_doses(empty, ramp(GRID), structures, criteria, n_fractions=1)
    far = ramp(Grid((4, 4, 4), (100.0, 100.0, 100.0), (4.0, 4.0, 4.0), "frame"))
    with pytest.raises(InputError, match="outside the body"):
        compare_doses(far, ramp(GRID), structures, criteria, n_fractions=1)


def test_directions_in_words() -> None:
    def beam(angles: tuple[float | None, float | None], couch: float) -> Beam:
        points = tuple(
            ControlPoint(w, (-1.0, 1.0), (-1.0, 1.0), np.zeros((2, 1)), angle)
            for w, angle in zip((0.0, 1.0), angles, strict=True)
        )
        return Beam(1, BeamGeometry("B", 20.0, 5.0, couch, (0.0, 0.0, 0.0)), points, 1.0)

    assert direction_text(beam((None, None), 0.0)) == "G20 C5"
    assert direction_text(beam((20.0, 350.5), 10.0)) == "arc 20 to 350.5 C5 T10"
