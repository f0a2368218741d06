"""Whether a machine can deliver a plan, limit by limit."""

from dataclasses import dataclass

import numpy as np

from rerad.core import Beam, Machine, Plan
from rerad.errors import DeliverabilityError

_POSITION_TOLERANCE_MM = 0.005
"""Half of the 0.01 mm to which leaf positions are written."""

_SPEED_TOLERANCE = 1e-3
"""Share by which a speed may exceed its limit through rounding of positions and metersets."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One limit that one beam breaks, where it breaks it most.

    Parameters
    ----------
    beam : str
        Name of the beam.
    control_point : int
        Index of the control point (of the later one, for speeds).
    leaf_pair : int or None
        Number of the leaf pair from 1; None for jaws.
    limit : str
        What is limited.
    value, allowed : float
        What came, and the limit, in `unit`.
    unit : str
        mm, mm/s, MU/min or pairs.
    """

    beam: str
    control_point: int
    leaf_pair: int | None
    limit: str
    value: float
    allowed: float
    unit: str

    @property
    def text(self) -> str:
        """The violation in one sentence."""
        place = f"control point {self.control_point}"
        if self.leaf_pair is not None:
            place += f", leaf pair {self.leaf_pair}"
        return (
            f"beam {self.beam}, {place}: {self.limit} is {self.value:.2f} {self.unit}, the "
            f"machine allows {self.allowed:.2f} {self.unit}"
        )


def check_deliverable(plan: Plan, machine: Machine) -> None:
    """Raise unless the machine can deliver every control point of the plan.

    Parameters
    ----------
    plan : Plan
        As it would be written.
    machine : Machine
        Whose limits hold.

    Raises
    ------
    DeliverabilityError
        If a limit is broken; names beam, control point, leaf pair and limit.
    """
    violations = deliverability_report(plan, machine)
    if violations:
        more = f" ({len(violations) - 1} more limits broken)" if len(violations) > 1 else ""
        msg = violations[0].text + more
        raise DeliverabilityError(msg)


def deliverability_report(plan: Plan, machine: Machine) -> tuple[Violation, ...]:
    """Return every limit that a beam of the plan breaks, at its worst place.

    Parameters
    ----------
    plan : Plan
        As it would be written.
    machine : Machine
        Whose limits hold.

    Returns
    -------
    tuple of Violation
        Empty if the plan can be delivered.
    """
    return tuple(item for beam in plan.beams for item in beam_violations(beam, machine))


def beam_violations(beam: Beam, machine: Machine) -> tuple[Violation, ...]:
    """Return every limit that a beam breaks, at its worst place.

    Checked are the number of leaf pairs, reach of leaves and jaws, gap, spread of a bank,
    interdigitation where the collimator cannot, leaves that move while the beam is on where they
    must not, and leaf speed at the beam's dose rate (the machine's, if the beam has none of its
    own). Pairs that rest may be closer than the smallest gap, but never overlap.

    Parameters
    ----------
    beam : Beam
        With its control points.
    machine : Machine
        Whose limits hold.

    Returns
    -------
    tuple of Violation
        Empty if the beam can be delivered.
    """
    name = beam.geometry.name
    mlc = machine.mlc
    tips = np.stack([point.leaf_positions_mm for point in beam.control_points])
    if tips.shape[2] != mlc.n_leaf_pairs:
        found = tips.shape[2]
        return (
            Violation(name, 0, None, "number of leaf pairs", found, mlc.n_leaf_pairs, "pairs"),
        )
    low, high = mlc.leaf_position_min_mm, mlc.leaf_position_max_mm
    gaps = tips[:, 1] - tips[:, 0]
    spans = tips.max(axis=2) - tips.min(axis=2)
    slack = _POSITION_TOLERANCE_MM
    past = np.zeros_like(gaps) if mlc.is_interdigitation_allowed else _interdigitation(tips)
    checks = (
        _worst(name, "leaf position", np.where(tips < low - slack, low - tips, 0), tips, low),
        _worst(name, "leaf position", np.where(tips > high + slack, tips - high, 0), tips, high),
        _worst(
            name,
            "gap between opposing leaves",
            _missing_gap(tips, mlc.leaf_gap_min_mm)[:, None],
            gaps[:, None],
            mlc.leaf_gap_min_mm,
        ),
        _worst(
            name,
            "spread of the leaves of one bank",
            np.maximum(spans - mlc.leaf_span_max_mm - slack, 0)[..., None],
            spans[..., None],
            mlc.leaf_span_max_mm,
            has_leaf=False,
        ),
        _worst(name, "tip past that of a neighbouring pair", past[:, None], past[:, None], 0.0),
        _motion_violation(beam, machine, tips),
        _speed_violation(beam, machine, tips),
        _rate_violation(beam, machine),
        *_jaw_violations(beam, machine),
    )
    return tuple(item for item in checks if item is not None)


def _missing_gap(
    tips: np.ndarray[tuple[int, ...], np.dtype[np.float64]], gap_min_mm: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return by how much each gap is too small, shape (control points, pairs)."""
    gaps = tips[:, 1] - tips[:, 0]
    moves = np.any(np.diff(tips, axis=0) != 0, axis=1)
    still = np.zeros((1, tips.shape[2]), dtype=bool)
    is_moving = np.concatenate((moves, still)) | np.concatenate((still, moves))
    allowed = np.where(is_moving, gap_min_mm, 0.0)
    return np.where(gaps < allowed - _POSITION_TOLERANCE_MM, allowed - gaps, 0.0)


def _interdigitation(
    tips: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return by how much each left tip passes a neighbour's right tip, (control points, pairs)."""
    past = np.zeros((len(tips), tips.shape[2]))
    past[:, 1:] = tips[:, 0, 1:] - tips[:, 1, :-1]
    past[:, :-1] = np.maximum(past[:, :-1], tips[:, 0, :-1] - tips[:, 1, 1:])
    return np.where(past > _POSITION_TOLERANCE_MM, past, 0.0)


def _worst(
    beam: str,
    limit: str,
    excess: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    allowed: float,
    *,
    has_leaf: bool = True,
    unit: str = "mm",
    first_point: int = 0,
) -> Violation | None:
    """Return the largest excess of shape (control points, banks, leaves), if there is one."""
    place = np.unravel_index(int(np.argmax(excess)), excess.shape)
    if excess[place] <= 0:
        return None
    leaf = int(place[2]) + 1 if has_leaf else None
    point = int(place[0]) + first_point
    return Violation(beam, point, leaf, limit, float(values[place]), allowed, unit)


def _speed_violation(
    beam: Beam, machine: Machine, tips: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Violation | None:
    weights = np.array([point.cumulative_weight for point in beam.control_points])
    mu_per_min = beam.dose_rate_mu_min or machine.dose_rate_mu_min
    seconds = np.diff(weights) * beam.meterset_mu / mu_per_min * 60.0
    moves = np.abs(np.diff(tips, axis=0))
    # a pair of control points of equal weight moves with the beam off, which takes what it takes
    beam_on = seconds > 0
    speeds = np.zeros_like(moves)
    speeds[beam_on] = moves[beam_on] / seconds[beam_on][:, None, None]
    allowed = machine.mlc.leaf_speed_max_mm_s
    excess = np.maximum(speeds - allowed * (1 + _SPEED_TOLERANCE), 0.0)
    return _worst(
        beam.geometry.name, "leaf speed", excess, speeds, allowed, unit="mm/s", first_point=1
    )


def _motion_violation(
    beam: Beam, machine: Machine, tips: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Violation | None:
    if machine.mlc.is_dynamic:
        return None
    weights = np.array([point.cumulative_weight for point in beam.control_points])
    moves = np.abs(np.diff(tips, axis=0))
    moves[np.diff(weights) <= 0] = 0.0
    limit = "leaf motion while the beam is on"
    excess = np.where(moves > _POSITION_TOLERANCE_MM, moves, 0.0)
    return _worst(beam.geometry.name, limit, excess, moves, 0.0, first_point=1)


def _rate_violation(beam: Beam, machine: Machine) -> Violation | None:
    rate, allowed = beam.dose_rate_mu_min, machine.dose_rate_mu_min
    if rate is None or rate <= allowed:
        return None
    return Violation(beam.geometry.name, 0, None, "dose rate", rate, allowed, "MU/min")


def _jaw_violations(beam: Beam, machine: Machine) -> list[Violation]:
    found = []
    for axis, limits in (("x", machine.field_x_limits_mm), ("y", machine.jaw_y_limits_mm)):
        for index, point in enumerate(beam.control_points):
            jaws = point.jaw_x_mm if axis == "x" else point.jaw_y_mm
            for jaw, allowed, sign in ((jaws[0], limits[0], -1.0), (jaws[1], limits[1], 1.0)):
                if sign * (jaw - allowed) > _POSITION_TOLERANCE_MM:
                    what = f"{axis} jaw position"
                    name = beam.geometry.name
                    found.append(Violation(name, index, None, what, jaw, allowed, "mm"))
            if found:
                break
    return found
