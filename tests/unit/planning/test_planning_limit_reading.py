"""What voxels may get so that a limit holds between them, at every point of the drawn organ."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Contour,
    Dose,
    DoseQuantity,
    Grid,
    Mask,
    Structure,
    StructureKind,
)
from rerad.planning.caps import FREE_GY, OrganCap, held_doses_gy, read_doses_gy
from rerad.planning.limit_reading import LimitReading
from rerad.radiobiology import eqd2

LIMIT_GY, N_FRACTIONS, ALPHA_BETA_GY = 50.0, 25, 2.0
GRIDS = {
    spacing: Grid(
        (int(40 / spacing), int(45 / spacing), int(50 / spacing)),
        (-25.0, -22.0, -20.0),
        (spacing, spacing, spacing),
        "1.2.3",
    )
    for spacing in (3.0, 5.0, 6.0)
}


def tube() -> Structure:
    """Return a round organ 9 mm across and 20 mm long that lies on no voxel border."""
    angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    ring = np.stack([1.3 + 4.5 * np.cos(angle), -0.7 + 4.5 * np.sin(angle)], axis=1)
    contours = tuple(Contour(float(z), ring) for z in np.arange(-10.0, 10.1, 2.5))
    return Structure("Cord", StructureKind.OAR, "1.2.3", contours, 2.5)


def earlier(grid: Grid) -> Dose:
    """Return an earlier dose that rises steeply beside the organ, with noise."""
    x = grid.axes_mm[0]
    rise = 10.0 + 35.0 / (1.0 + np.exp(-(x - 6.0)))
    noise = np.random.default_rng(3).uniform(-3.0, 3.0, grid.shape)
    return Dose(
        (rise + noise).astype(np.float32), grid, DoseQuantity.EQD2, alpha_beta_gy=ALPHA_BETA_GY
    )


def sum_of(prior: Dose, physical_gy: np.ndarray) -> Dose:
    own = eqd2(physical_gy, N_FRACTIONS, ALPHA_BETA_GY)
    return replace(prior, values=(prior.values + own).astype(np.float32))


def cap_of(metric: str, prior: Dose | None) -> OrganCap:
    reading = LimitReading(tube(), metric)
    return OrganCap("Cord", LIMIT_GY, LIMIT_GY, ALPHA_BETA_GY, prior, False, reading=reading)


@pytest.mark.parametrize("spacing", sorted(GRIDS))
def test_voxels_at_their_caps_hold_the_highest_dose_at_every_reading(spacing: float) -> None:
    """Every capped voxel at its cap, all others far above: no point of the organ is over."""
    grid = GRIDS[spacing]
    prior = earlier(grid)
    cap = cap_of("Dmax", prior)
    mask = Mask("Cord", StructureKind.OAR, np.zeros(grid.shape, dtype=np.float32), grid)
    read = np.flatnonzero(cap.reading.leaned_on(mask, grid).fraction)
    dose = np.full(grid.n_voxels, 200.0)
    dose[read] = held_doses_gy(cap, grid, read, N_FRACTIONS)[0]
    highest = cap.reading.value(sum_of(prior, dose.reshape(grid.shape)))
    assert highest <= LIMIT_GY + 1e-3
    # nor is any voxel held lower than one limit for the whole organ would hold it
    for_all = LIMIT_GY - cap.reading.value(prior)
    assert np.all(eqd2(dose[read], N_FRACTIONS, ALPHA_BETA_GY) >= for_all - 1e-3)


@pytest.mark.parametrize("spacing", sorted(GRIDS))
@pytest.mark.parametrize("metric", ["Dmax", "D0.1cc", "D30%"])
def test_any_dose_below_what_its_readings_allow_holds_the_limit(
    spacing: float, metric: str
) -> None:
    """From a steep fall that exceeds the limit at the organ's edge, and from one far below."""
    grid = GRIDS[spacing]
    prior = earlier(grid)
    cap = cap_of(metric, prior)
    x = np.broadcast_to(grid.axes_mm[0], grid.shape)
    for now in (np.clip(40.0 - 5.0 * (x + 4.0), 0.0, 60.0), np.full(grid.shape, 5.0)):
        allowed = read_doses_gy(cap, grid, now, N_FRACTIONS)
        dose = np.where(np.isnan(allowed), 200.0, allowed)
        assert cap.reading.value(sum_of(prior, dose)) <= LIMIT_GY + 0.05


def test_a_steep_fall_may_be_steeper_once_it_is_known() -> None:
    """Held by its hottest voxel alone, the organ reads far below its limit; readings free that."""
    grid = GRIDS[5.0]
    cap = cap_of("Dmax", None)
    zero = Dose(np.zeros(grid.shape), grid, DoseQuantity.EQD2, alpha_beta_gy=ALPHA_BETA_GY)
    x = np.broadcast_to(grid.axes_mm[0], grid.shape)
    fall = np.clip(20.0 - 2.0 * (x + 4.0), 0.5, 50.0)
    is_read = np.isfinite(read_doses_gy(cap, grid, fall, N_FRACTIONS))
    now = 50.0 / fall[is_read].max() * fall  # 2 Gy a fraction: the hottest voxel is at the limit
    assert cap.reading.value(sum_of(zero, now)) < LIMIT_GY - 2.0
    allowed = read_doses_gy(cap, grid, now, N_FRACTIONS)
    assert np.nanmax(allowed) > 51.0
    assert np.all(allowed[is_read] >= now[is_read] - 1e-6)


def test_a_voxel_whose_earlier_dose_is_unknown_has_no_bound() -> None:
    grid = GRIDS[5.0]
    prior = earlier(grid)
    values = prior.values.copy()
    values[3] = np.nan
    cap = cap_of("Dmax", replace(prior, values=values))
    allowed = cap.reading.allowed_eqd2_gy(cap.prior, grid, LIMIT_GY)
    assert np.all(np.isnan(allowed[3]))
    assert np.isfinite(allowed).any()


@pytest.mark.parametrize("spacing", [3.0, 5.0])
def test_what_a_limit_leaves_out_is_used_to_the_last_reading(spacing: float) -> None:
    """A hot spot smaller than 0.5 cc: readings are left out one by one, not cell by cell."""
    grid = GRIDS[spacing]
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    spot = 20 + 28 * np.exp(-((x - 4.0) ** 2 + (y + 0.7) ** 2 + z**2) / 50.0)
    prior = replace(earlier(grid), values=spot.astype(np.float32))
    cap = cap_of("D0.5cc", prior)
    allowed = read_doses_gy(cap, grid, np.full(grid.shape, 8.0), N_FRACTIONS)
    is_free = allowed == FREE_GY
    assert is_free.any()
    dose = np.where(np.isnan(allowed) | is_free, 200.0, allowed)
    assert LIMIT_GY - 1.0 <= cap.reading.value(sum_of(prior, dose)) <= LIMIT_GY + 0.05
