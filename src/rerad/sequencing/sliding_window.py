"""Sliding window: leaves that sweep once across the field and leave the wanted fluence behind.

Leaf speed at the machine's dose rate, the smallest moving gap, leaf transmission, the dosimetric
leaf gap and the reach of the carriage are part of the calculation. What cannot be had is given as
nearly as the machine can: a pair that crosses a column opens it for at least the smallest gap's
time, and leaves that are closed leak; the dose that counts is always the one recalculated
from the control points.

Not modelled here: tongue and groove, jaw leakage, and leaf tips beyond the dosimetric leaf gap.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, BixelGrid, ControlPoint, Fluence, Machine
from rerad.errors import DeliverabilityError, InputError
from rerad.sequencing.deliverability import beam_violations
from rerad.sequencing.field_sweep import FieldSweep
from rerad.sequencing.passing_times import Floats, PairSweep, mean_open_times, sample
from rerad.sequencing.split import balance_parts, split_field

logger = logging.getLogger(__name__)

ROUNDING_MARGIN_MM = 0.03
"""Added to the smallest gap: two tips rounded to 0.01 mm, and the same again as reserve."""

_N_IDEAL = 3000
"""Moments that stand for continuous motion where control points are compared with it."""


@dataclass(frozen=True, slots=True)
class SequenceSettings:
    """How a sliding window is made; none of it is a clinical number.

    Parameters
    ----------
    n_control_points_min, n_control_points_max : int
        Control points of a beam: as few as reach `tolerance_share`, within these.
    tolerance_share : float
        Root-mean-square difference between the fluence of the control points and that of the
        ideal leaf motion, as a share of the largest fluence, that is good enough.
    park_mm : float
        How far behind the jaw a sweep starts and ends, so that closed leaves are covered.
    speed_share : float
        Share of the greatest leaf speed that is planned with, below 1: rounding needs the rest.
    feather_mm : float
        Overlap of the parts of a field that is too wide for the carriage.
    dose_rate_mu_min : float or None
        Dose rate to plan with; None takes the machine's. As leaf speed is limited, a lower rate
        needs fewer MU and leaks less, and takes somewhat longer.
    border_share : float
        Rows and columns at the border of the field where no fluence is above this share of the
        beam's largest are left outside the jaws.
    """

    n_control_points_min: int = 60
    n_control_points_max: int = 160
    tolerance_share: float = 0.004
    park_mm: float = 3.0
    speed_share: float = 0.97
    feather_mm: float = 20.0
    dose_rate_mu_min: float | None = None
    border_share: float = 0.005

    def __post_init__(self) -> None:
        counts_fit = 2 <= self.n_control_points_min <= self.n_control_points_max
        shares_fit = 0 < self.speed_share < 1 and 0 <= self.border_share < 1
        rate_fits = self.dose_rate_mu_min is None or self.dose_rate_mu_min > 0
        sizes_fit = self.park_mm >= 0 and self.tolerance_share > 0
        if not (counts_fit and shares_fit and rate_fits and sizes_fit):
            msg = f"expected sequencing settings in their ranges, got {self}"
            raise InputError(msg)

    @property
    def shortest_step_mm(self) -> float:
        """Least way at planned speed between control points: rounding adds 0.01 mm to it."""
        return 0.012 * self.speed_share / (1.0 - self.speed_share)


def least_column_mm(machine: Machine) -> float:
    """Return how wide the smallest gap between leaf tips looks: no column may be narrower."""
    mlc = machine.mlc
    return mlc.leaf_gap_min_mm + max(mlc.dosimetric_leaf_gap_mm, 0.0) + ROUNDING_MARGIN_MM


def sequence_sliding_window(
    fluence: Fluence,
    machine: Machine,
    *,
    n_fractions: int,
    first_beam_number: int,
    settings: SequenceSettings,
) -> tuple[Beam, ...]:
    """Turn the fluence of one beam into leaf motion.

    Parameters
    ----------
    fluence : Fluence
        Open-beam MU of each beamlet over all fractions; rows are leaf pairs of the machine.
    machine : Machine
        Whose limits hold.
    n_fractions : int
        Fractions that share the fluence, at least 1.
    first_beam_number : int
        Number of the first beam made.
    settings : SequenceSettings
        How.

    Returns
    -------
    tuple of Beam
        One beam; more, with letters after the name, where the field is wider than the leaves of a
        bank may spread.

    Raises
    ------
    InputError
        If the fluence is zero everywhere, or its rows are not leaf pairs of the machine.
    DeliverabilityError
        If leaves or jaws do not reach, or what came out breaks a limit of the machine.
    """
    name = fluence.grid.geometry.name
    if n_fractions < 1:
        msg = f"beam {name}: expected at least 1 fraction, got {n_fractions}"
        raise InputError(msg)
    trimmed = trimmed_field(fluence, settings.border_share)
    mlc = machine.mlc
    width_max = (
        mlc.leaf_span_max_mm
        - 2 * settings.park_mm
        - mlc.leaf_gap_min_mm
        - ROUNDING_MARGIN_MM
        - mlc.dosimetric_leaf_gap_mm
    )
    parts = split_field(trimmed, width_max, settings.feather_mm)
    fields = _fields(parts, machine, n_fractions, settings)
    beams = tuple(
        _beam(field, machine, first_beam_number + number, settings)
        for number, field in enumerate(fields)
    )
    for beam in beams:
        violations = beam_violations(beam, machine)
        if violations:
            raise DeliverabilityError(violations[0].text)
    return beams


def _fields(
    parts: tuple[Fluence, ...], machine: Machine, n_fractions: int, settings: SequenceSettings
) -> list["_Field"]:
    """Return the parts that hold something to deliver, with their shares balanced."""
    ready = [(part, _Field.of(part, machine, n_fractions, settings)) for part in parts]
    kept = [(part, field) for part, field in ready if field is not None]
    if not kept:
        name, most = parts[0].grid.geometry.name, parts[0].values_mu.max() / n_fractions
        msg = (
            f"beam {name}: at most {most:.2g} MU are wanted in a fraction, less than moving "
            "leaves give; leave the beam out of the plan"
        )
        raise InputError(msg)
    if len(kept) == 1:
        return [kept[0][1]]
    floors = [field.least_mu * n_fractions for _, field in kept]
    balanced = balance_parts([part for part, _ in kept], floors)
    again = [_Field.of(part, machine, n_fractions, settings) for part in balanced]
    return [field for field in again if field is not None]


def trimmed_field(fluence: Fluence, border_share: float) -> Fluence:
    """Return the fluence without border rows and columns that hold next to nothing."""
    values = fluence.values_mu
    if not np.any(values > 0):
        msg = (
            f"beam {fluence.grid.geometry.name}: no fluence to sequence; leave the beam out of "
            "the plan"
        )
        raise InputError(msg)
    counts = values > border_share * values.max()
    rows = np.flatnonzero(counts.any(axis=1))
    columns = np.flatnonzero(counts.any(axis=0))
    kept = np.zeros_like(values)
    inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    kept[inside] = values[inside]
    return Fluence(fluence.grid, kept)


@dataclass(frozen=True, eq=False, slots=True)
class _Field:
    """One part of a fluence, ready to be swept: what is wanted in a fraction, and where."""

    grid: BixelGrid
    leaves: NDArray[np.int64]
    jaw_x_mm: tuple[float, float]
    jaw_y_mm: tuple[float, float]
    wanted_mu: Floats
    sweep: FieldSweep
    meterset_mu: float

    @classmethod
    def of(
        cls, fluence: Fluence, machine: Machine, n_fractions: int, settings: SequenceSettings
    ) -> "_Field | None":
        """Return the field, or None if nothing in it is worth opening a leaf pair."""
        grid = fluence.grid
        if not np.any(fluence.values_mu > 0):
            return None
        used_rows = np.flatnonzero(np.any(fluence.values_mu > 0, axis=1))
        used = np.flatnonzero(np.any(fluence.values_mu > 0, axis=0))
        rows = np.arange(used_rows[0], used_rows[-1] + 1)
        edges = grid.x_edges_mm[used[0] : used[-1] + 2]
        wanted = fluence.values_mu[rows, used[0] : used[-1] + 1] / n_fractions
        sweep = _sweep(edges, machine, settings)
        narrowest = float(np.diff(edges).min())
        if narrowest < sweep.gap_mm:
            msg = (
                f"beam {grid.geometry.name}: columns of {narrowest:.2f} mm are narrower than the "
                f"smallest gap of {machine.name}, which looks {sweep.gap_mm:.2f} mm wide; take "
                "wider columns"
            )
            raise InputError(msg)
        meterset = float(np.ceil(sweep.meterset_mu(wanted) * 100.0) / 100.0)
        if meterset <= 0:
            return None
        return cls(
            grid=grid,
            leaves=leaf_numbers(fluence, machine)[rows],
            jaw_x_mm=(float(edges[0]), float(edges[-1])),
            jaw_y_mm=(float(grid.y_edges_mm[rows[0]]), float(grid.y_edges_mm[rows[-1] + 1])),
            wanted_mu=wanted,
            sweep=sweep,
            meterset_mu=meterset,
        )

    @property
    def least_mu(self) -> float:
        """What a column gets at least in a fraction if a leaf pair crosses it."""
        leak = self.sweep.transmission
        return leak * self.meterset_mu + (1.0 - leak) * self.sweep.floor_mu


def _beam(field: _Field, machine: Machine, number: int, settings: SequenceSettings) -> Beam:
    sweep, meterset = field.sweep, field.meterset_mu
    moving = {
        leaf: pair
        for leaf, wanted in zip(field.leaves, field.wanted_mu, strict=True)
        if (pair := sweep.pair(wanted, meterset)) is not None
    }
    shares, trailing, leading = _sampled(list(moving.values()), sweep, meterset, settings)
    half_gap = 0.5 * machine.mlc.dosimetric_leaf_gap_mm
    closed = sweep.edges_mm[0] - settings.park_mm
    tips = np.empty((len(shares), 2, machine.mlc.n_leaf_pairs))
    tips[:, 0], tips[:, 1] = closed - sweep.gap_mm, closed
    tips[:, 0, list(moving)] = trailing
    tips[:, 1, list(moving)] = leading
    tips = np.round(tips + np.array([half_gap, -half_gap])[:, None], 2)
    points = tuple(
        ControlPoint(float(share), field.jaw_x_mm, field.jaw_y_mm, leaf_tips)
        for share, leaf_tips in zip(shares, tips, strict=True)
    )
    return Beam(number, field.grid.geometry, points, meterset, settings.dose_rate_mu_min)


def leaf_numbers(fluence: Fluence, machine: Machine) -> NDArray[np.int64]:
    """Return the leaf pair of each row of the fluence, or raise `InputError`."""
    boundaries = machine.mlc.leaf_boundaries_mm
    edges = fluence.grid.y_edges_mm
    first = int(np.argmin(np.abs(boundaries - edges[0])))
    matching = boundaries[first : first + len(edges)]
    if len(matching) != len(edges) or np.abs(matching - edges).max() > 1e-3:
        msg = (
            f"beam {fluence.grid.geometry.name}: expected rows that are leaf pairs of "
            f"{machine.name}, got row edges from {edges[0]} to {edges[-1]} mm"
        )
        raise InputError(msg)
    return first + np.arange(len(edges) - 1)


def sweep_mu_per_mm(machine: Machine, settings: SequenceSettings) -> float:
    """Return the MU that pass while a leaf at its greatest planned speed moves 1 mm."""
    mu_per_s = (settings.dose_rate_mu_min or machine.dose_rate_mu_min) / 60.0
    return mu_per_s / (machine.mlc.leaf_speed_max_mm_s * settings.speed_share)


def _sweep(edges_mm: Floats, machine: Machine, settings: SequenceSettings) -> FieldSweep:
    mlc = machine.mlc
    return FieldSweep(
        edges_mm=edges_mm,
        park_mm=settings.park_mm,
        mu_per_mm=sweep_mu_per_mm(machine, settings),
        gap_mm=least_column_mm(machine),
        transmission=mlc.transmission,
    )


def _sampled(
    pairs: list[PairSweep], sweep: FieldSweep, meterset_mu: float, settings: SequenceSettings
) -> tuple[Floats, Floats, Floats]:
    """Return meterset shares and edges of the control points: as few as are accurate enough."""
    n_points_max = min(
        settings.n_control_points_max,
        max(2, 1 + int(meterset_mu / sweep.mu_per_mm / settings.shortest_step_mm)),
    )

    def given(n_points: int) -> tuple[Floats, Floats, Floats, Floats]:
        shares = np.round(np.linspace(0.0, 1.0, n_points), 6)
        trailing, leading = sample(pairs, shares * meterset_mu)
        times = shares * meterset_mu
        opened = mean_open_times(times, trailing, leading, sweep.edges_mm, 8)
        return shares, trailing, leading, opened

    ideal = given(_N_IDEAL)[3]
    n_points = min(settings.n_control_points_min, n_points_max)
    while True:
        shares, trailing, leading, opened = given(n_points)
        error = float(np.sqrt(np.mean((opened - ideal) ** 2)) / ideal.max())
        if error <= settings.tolerance_share or n_points >= n_points_max:
            logger.debug("%d control points, error %.4f of the maximum", n_points, error)
            return shares, trailing, leading
        n_points = min(n_points_max, int(1.25 * n_points) + 1)
