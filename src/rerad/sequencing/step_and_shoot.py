r"""Step and shoot: still segments for machines whose leaves do not move while the beam is on.

The wanted fluence, less what leaks through closed leaves, is rounded to a few levels and split
into the segments of :mod:`rerad.sequencing.segmentation`. Then each segment gets the monitor units
that make the fluence, leakage included, in the least squares,

.. math:: \min_{m \ge 0} \Big\| \sum_k m_k \big(S_k + T (1 - S_k)\big) - x \Big\|^2 ,

and the segment that does least is left out until there are as few as asked for. Leaf positions are
on column edges; :func:`rerad.optimize.refine_leaves` moves them from there.

Not modelled here: leakage of the jaws; tongue and groove is avoided, if asked to, but its dose is
not.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from rerad.core import Beam, ControlPoint, Fluence, Machine
from rerad.errors import DeliverabilityError, InputError
from rerad.sequencing.deliverability import beam_violations
from rerad.sequencing.segmentation import Floats, RowRule, Segments, least_time, split_levels
from rerad.sequencing.sliding_window import (
    ROUNDING_MARGIN_MM,
    leaf_numbers,
    least_column_mm,
    trimmed_field,
)
from rerad.sequencing.split import split_field

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepAndShootSettings:
    """How segments are made; none of it is a clinical number.

    Parameters
    ----------
    n_levels : int
        Levels above 0 to which the fluence is rounded.
    n_segments_max : int
        Segments of a beam.
    least_segment_mu : float
        A segment of fewer MU in a fraction is left out.
    avoids_tongue_and_groove : bool
        Whether of two neighbouring cells the one that is open longer is open all the time that
        the other is, so that no strip between rows is left under tongue and groove. It takes more
        MU before refinement.
    park_mm : float
        How far behind the jaw closed pairs wait, where tips may pass those of their neighbours.
    feather_mm : float
        Overlap of the parts of a field that is too wide for the carriage.
    border_share : float
        Rows and columns at the border of the field where no fluence is above this share of the
        beam's largest are left outside the jaws.
    """

    n_levels: int = 7
    n_segments_max: int = 8
    least_segment_mu: float = 1.0
    avoids_tongue_and_groove: bool = True
    park_mm: float = 3.0
    feather_mm: float = 20.0
    border_share: float = 0.005

    def __post_init__(self) -> None:
        counts_fit = min(self.n_levels, self.n_segments_max) >= 1
        sizes_fit = self.least_segment_mu >= 0 and self.park_mm >= 0
        if not (counts_fit and sizes_fit and 0 <= self.border_share < 1):
            msg = f"expected step-and-shoot settings in their ranges, got {self}"
            raise InputError(msg)


def sequence_step_and_shoot(
    fluence: Fluence,
    machine: Machine,
    *,
    n_fractions: int,
    first_beam_number: int,
    settings: StepAndShootSettings,
) -> tuple[Beam, ...]:
    """Turn the fluence of one beam into still segments.

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
    settings : StepAndShootSettings
        How.

    Returns
    -------
    tuple of Beam
        One beam, with two control points for each segment between which no leaf moves; more, with
        letters after the name, where the field is wider than the leaves of a bank may spread.

    Raises
    ------
    InputError
        If the fluence is zero everywhere, or its rows are not leaf pairs of the machine.
    DeliverabilityError
        If leaves or jaws do not reach, or what came out breaks a limit of the machine.
    """
    if n_fractions < 1:
        name = fluence.grid.geometry.name
        msg = f"beam {name}: expected at least 1 fraction, got {n_fractions}"
        raise InputError(msg)
    mlc = machine.mlc
    taken = 2 * settings.park_mm + mlc.leaf_gap_min_mm + ROUNDING_MARGIN_MM
    width_max = mlc.leaf_span_max_mm - taken - mlc.dosimetric_leaf_gap_mm
    trimmed = trimmed_field(fluence, settings.border_share)
    fields = []
    for part in split_field(trimmed, width_max, settings.feather_mm):
        field = _Field.of(part, machine, n_fractions)
        segments = _segments(field, machine, settings)
        if len(segments):
            fields.append((field, segments))
    if not fields:
        most = fluence.values_mu.max() / n_fractions
        msg = (
            f"beam {fluence.grid.geometry.name}: at most {most:.2g} MU are wanted in a fraction, "
            f"less than a segment's {settings.least_segment_mu:g} MU; leave the beam out of the "
            "plan"
        )
        raise InputError(msg)
    beams = tuple(
        _beam(field, segments, machine, first_beam_number + number, settings)
        for number, (field, segments) in enumerate(fields)
    )
    for beam in beams:
        violations = beam_violations(beam, machine)
        if violations:
            raise DeliverabilityError(violations[0].text)
    return beams


@dataclass(frozen=True, eq=False, slots=True)
class _Field:
    """One part of a fluence: what is wanted in a fraction, and where."""

    fluence: Fluence
    leaves: np.ndarray[tuple[int], np.dtype[np.int64]]
    x_edges_mm: Floats
    y_edges_mm: Floats
    wanted_mu: Floats

    @classmethod
    def of(cls, fluence: Fluence, machine: Machine, n_fractions: int) -> "_Field":
        """Return the used rows and columns of a fluence."""
        grid = fluence.grid
        wants = fluence.values_mu > 0
        rows = np.flatnonzero(wants.any(axis=1))
        columns = np.flatnonzero(wants.any(axis=0))
        used = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        edges = grid.x_edges_mm[columns[0] : columns[-1] + 2]
        narrowest = float(np.diff(edges).min())
        smallest = least_column_mm(machine)
        if narrowest < smallest:
            msg = (
                f"beam {grid.geometry.name}: columns of {narrowest:.2f} mm are narrower than the "
                f"smallest gap of {machine.name}, which looks {smallest:.2f} mm wide; take wider "
                "columns"
            )
            raise InputError(msg)
        return cls(
            fluence=fluence,
            leaves=leaf_numbers(fluence, machine)[used[0]],
            x_edges_mm=edges,
            y_edges_mm=grid.y_edges_mm[rows[0] : rows[-1] + 2],
            wanted_mu=fluence.values_mu[used] / n_fractions,
        )


def _rule(machine: Machine, settings: StepAndShootSettings) -> RowRule:
    if settings.avoids_tongue_and_groove:
        return RowRule.NO_TONGUE_AND_GROOVE
    if machine.mlc.is_interdigitation_allowed:
        return RowRule.FREE
    return RowRule.NO_INTERDIGITATION


def round_fluence(
    wanted_mu: Floats, transmission: float, n_levels: int, rule: RowRule
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], float]:
    """Round what leaves must be open for to whole levels.

    The open time is what gives the wanted fluence with what leaks while leaves are closed. The
    MU needed never rise with the MU assumed to leak, so the two meet once: bisection.

    Parameters
    ----------
    wanted_mu : ndarray of shape (R, C)
        Fluence wanted in a fraction.
    transmission : float
        Share of the open fluence behind closed leaves.
    n_levels : int
        Levels above 0.
    rule : RowRule
        What rows ask of their neighbours.

    Returns
    -------
    levels : ndarray of int, shape (R, C)
        0 to `n_levels`.
    unit_mu : float
        MU of a level.
    """

    def opened(assumed_mu: float) -> Floats:
        leak = transmission * assumed_mu
        return np.asarray(np.maximum(wanted_mu - leak, 0.0) / (1.0 - transmission))

    low, high = 0.0, least_time(opened(0.0), rule)
    while high - low > 1e-6 * high:
        middle = 0.5 * (low + high)
        if least_time(opened(middle), rule) > middle:
            low = middle
        else:
            high = middle
    times = opened(high)
    unit = float(times.max()) / n_levels
    return np.rint(times / unit).astype(np.int64), unit


def _segments(field: _Field, machine: Machine, settings: StepAndShootSettings) -> Segments:
    """Return the segments of a field, weighted for the wanted fluence, in order of position."""
    leak = machine.mlc.transmission
    rule = _rule(machine, settings)
    levels, unit = round_fluence(field.wanted_mu, leak, settings.n_levels, rule)
    segments = split_levels(levels, rule)
    n_all = len(segments)
    segments = weigh_segments(segments, field.wanted_mu, leak)
    while len(segments):
        gives = segments.weights * segments.is_open().sum(axis=(1, 2))
        is_short = segments.weights < settings.least_segment_mu
        if len(segments) <= settings.n_segments_max and not is_short.any():
            break
        # The shortest go first, then those that open least.
        worst = int(np.argmin(np.where(is_short, gives - gives.max() - 1.0, gives)))
        kept = np.arange(len(segments)) != worst
        segments = segments.taken(kept, segments.weights[kept])
        segments = weigh_segments(segments, field.wanted_mu, leak)
    logger.debug("%d of %d segments, level of %.2f MU", len(segments), n_all, unit)
    middles = (segments.left + segments.right).mean(axis=1)
    order = np.argsort(middles, kind="stable")
    return segments.taken(order, segments.weights[order])


def weigh_segments(segments: Segments, wanted_mu: Floats, transmission: float) -> Segments:
    """Give segments the monitor units that make a fluence in the least squares.

    Parameters
    ----------
    segments : Segments
        Shapes.
    wanted_mu : ndarray of shape (R, C)
        Fluence wanted.
    transmission : float
        Share of the open fluence behind closed leaves.

    Returns
    -------
    Segments
        Those that get any.
    """
    if not len(segments):
        return segments
    seen = transmission + (1.0 - transmission) * segments.is_open().reshape(len(segments), -1)
    weights, _ = nnls(seen.T, wanted_mu.ravel())
    is_used = weights > 0
    return segments.taken(is_used, weights[is_used])


def _beam(
    field: _Field,
    segments: Segments,
    machine: Machine,
    number: int,
    settings: StepAndShootSettings,
) -> Beam:
    meterset = float(np.ceil(segments.weights.sum() * 100.0) / 100.0)
    ends = np.round(np.concatenate([[0.0], np.cumsum(segments.weights)]), 10)
    shares = np.round(ends / ends[-1], 6)
    edges = field.x_edges_mm
    jaw_x = (float(edges[0]), float(edges[-1]))
    jaw_y = (float(field.y_edges_mm[0]), float(field.y_edges_mm[-1]))
    points = []
    for k in range(len(segments)):
        if machine.mlc.is_interdigitation_allowed:
            tips = _free_tips(field, segments, k, machine, settings.park_mm)
        else:
            tips = _bound_tips(field, segments, k, machine)
        points += [ControlPoint(float(s), jaw_x, jaw_y, tips) for s in shares[k : k + 2]]
    return Beam(number, field.fluence.grid.geometry, tuple(points), meterset)


def _open_tips(field: _Field, segments: Segments, k: int, machine: Machine) -> Floats:
    """Return tips (2, R) on column edges, drawn in by half of the dosimetric leaf gap."""
    half_gap = 0.5 * machine.mlc.dosimetric_leaf_gap_mm
    edges = field.x_edges_mm
    return np.stack([edges[segments.left[k]] + half_gap, edges[segments.right[k]] - half_gap])


def _free_tips(
    field: _Field, segments: Segments, k: int, machine: Machine, park_mm: float
) -> Floats:
    """Return all tips (2, N) of a segment whose closed pairs wait behind the jaw."""
    mlc = machine.mlc
    parked = field.x_edges_mm[0] - park_mm - 0.5 * mlc.dosimetric_leaf_gap_mm
    tips = np.empty((2, mlc.n_leaf_pairs))
    tips[0], tips[1] = parked - mlc.leaf_gap_min_mm - ROUNDING_MARGIN_MM, parked
    opens = segments.right[k] > segments.left[k]
    tips[:, field.leaves[opens]] = _open_tips(field, segments, k, machine)[:, opens]
    return np.round(tips, 2)


def _bound_tips(field: _Field, segments: Segments, k: int, machine: Machine) -> Floats:
    """Return all tips (2, N) of a segment in which no tip passes that of a neighbour.

    Where the dosimetric leaf gap would make two neighbours pass each other, both tips stand on the
    column edge; a closed pair waits where its neighbours let it. Pairs behind the Y jaws stand as
    the outermost pairs do, closed.
    """
    mlc = machine.mlc
    gap = mlc.leaf_gap_min_mm + ROUNDING_MARGIN_MM
    inner = _open_tips(field, segments, k, machine)
    opens = segments.right[k] > segments.left[k]
    waits = np.array([field.x_edges_mm[segments.left[k]] for _ in range(2)])
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        passes = opens[here] & opens[there] & (inner[0, here] > inner[1, there])
        both = np.where(passes, 0.5 * (inner[0, here] + inner[1, there]), np.nan)
        inner[0, here] = np.fmin(inner[0, here], both)
        inner[1, there] = np.fmax(inner[1, there], both)
    tips = np.where(opens, inner, waits + gap * np.array([[-0.5], [0.5]]))
    first, last = field.leaves[0], field.leaves[-1]
    outer = [0.5 * (tips[0, row] + tips[1, row]) + gap * np.array([-0.5, 0.5]) for row in (0, -1)]
    every = np.empty((2, mlc.n_leaf_pairs))
    every[:, : first + 1], every[:, last:] = outer[0][:, None], outer[1][:, None]
    every[:, first : last + 1] = tips
    closed = np.ones(mlc.n_leaf_pairs, dtype=bool)
    closed[field.leaves[opens]] = False
    for step in (1, -1):
        beside = np.roll(every, step, axis=1)
        counts = closed & np.roll(~closed, step)
        counts[0 if step == 1 else -1] = False
        every[0, counts] = np.minimum(every[0, counts], beside[1, counts])
        every[1, counts] = np.maximum(every[1, counts], beside[0, counts])
    return np.round(every, 2)
