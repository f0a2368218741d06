"""Arcs as sums of beams with a static gantry.

Each part keeps the motion of leaves and jaws within its sector, so no exposure is lost or
averaged; only the direction is held, at the mean of the sector by meterset.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, ControlPoint
from rerad.dosecalc.apertures import GANTRY_TOLERANCE_DEG
from rerad.errors import InputError


def static_parts(beam: Beam, *, max_gantry_step_deg: float) -> tuple[Beam, ...]:
    """Split a beam into parts during which the gantry stands still.

    Each run of the gantry in one direction is cut into sectors of equal angle. Collimator and
    couch belong to the beam and cannot turn within it.

    Parameters
    ----------
    beam : Beam
        Between control points gantry, leaves and jaws move linearly in meterset, and the gantry
        takes the shorter way round.
    max_gantry_step_deg : float
        Widest sector.

    Returns
    -------
    tuple of Beam
        In order of delivery, with the number and name of the beam and metersets that sum to its
        own; sectors without meterset are left out. A beam whose gantry stands still is returned
        as it is.

    Raises
    ------
    InputError
        If the step is not above 0, or control points lie 180 degrees apart, so that the way
        round is not known.
    """
    if not max_gantry_step_deg > 0.0:
        msg = f"expected a gantry step above 0 degrees, got {max_gantry_step_deg}"
        raise InputError(msg)
    gantry = _gantry_path_deg(beam)
    if np.ptp(gantry) <= GANTRY_TOLERANCE_DEG:
        return (beam,)
    cuts = _cuts(gantry, max_gantry_step_deg)
    parts = (_part(beam, gantry, start, end) for start, end in pairwise(cuts))
    return tuple(part for part in parts if part is not None)


def _gantry_path_deg(beam: Beam) -> NDArray[np.float64]:
    """Gantry angle at each control point, without jumps at 360 degrees."""
    own = beam.geometry.gantry_angle_deg
    angles = [
        own if p.gantry_angle_deg is None else p.gantry_angle_deg for p in beam.control_points
    ]
    turns = (np.diff(angles) + 180.0) % 360.0 - 180.0
    if np.any(np.abs(turns) > 179.999):
        where = int(np.argmax(np.abs(turns) > 179.999))
        msg = (
            f"beam {beam.geometry.name}: control points {where} and {where + 1} lie 180 degrees "
            "apart, so the way round is not known; add a control point between them"
        )
        raise InputError(msg)
    return angles[0] + np.concatenate([[0.0], np.cumsum(turns)])


def _cuts(gantry_deg: NDArray[np.float64], step_deg: float) -> list[float]:
    """Places of the cuts, counted in control points, from 0 to the last."""
    turns = np.diff(gantry_deg)
    moving = [int(n) for n in np.flatnonzero(turns)]
    # A run ends at the control point from which the gantry next moves the other way.
    flips = [b for a, b in pairwise(moving) if turns[a] * turns[b] < 0]
    bounds = [0, *flips, len(turns)]
    cuts = [0.0]
    for first, last in pairwise(bounds):
        path = np.abs(gantry_deg[first : last + 1] - gantry_deg[first])
        n_sectors = int(np.ceil(path[-1] / step_deg - 1e-9))
        for place in path[-1] * np.arange(1, n_sectors) / n_sectors:
            after = int(np.searchsorted(path, place))
            part = (place - path[after - 1]) / (path[after] - path[after - 1])
            cut = first + after - 1 + part
            # A control point at a cut is used as it is.
            cuts.append(float(round(cut)) if abs(cut - round(cut)) < 1e-9 else float(cut))
        cuts.append(float(last))
    return cuts


def _part(beam: Beam, gantry_deg: NDArray[np.float64], start: float, end: float) -> Beam | None:
    """Return the part of a beam between two places, or None if it has no meterset."""
    inner = np.arange(int(np.floor(start)) + 1, int(np.ceil(end)))
    places = np.concatenate([[start], inner, [end]])
    points = [_point_at(beam, place) for place in places]
    weights = np.array([point.cumulative_weight for point in points])
    share = weights[-1] - weights[0]
    if share <= 0.0:
        return None
    angles = np.interp(places, np.arange(len(gantry_deg)), gantry_deg)
    mean_deg = float(np.diff(weights) @ (0.5 * (angles[1:] + angles[:-1])) / share)
    scaled = (weights - weights[0]) / share
    return replace(
        beam,
        geometry=replace(beam.geometry, gantry_angle_deg=mean_deg % 360.0),
        control_points=tuple(
            replace(point, cumulative_weight=float(weight), gantry_angle_deg=None)
            for point, weight in zip(points, scaled, strict=True)
        ),
        meterset_mu=beam.meterset_mu * float(share),
    )


def _point_at(beam: Beam, place: float) -> ControlPoint:
    """Return the state of leaves and jaws between two control points."""
    before = min(int(np.floor(place)), len(beam.control_points) - 2)
    part = place - before
    a, b = beam.control_points[before], beam.control_points[before + 1]
    if part in (0.0, 1.0):
        return a if part == 0.0 else b

    def pair(x: tuple[float, float], y: tuple[float, float]) -> tuple[float, float]:
        return (x[0] + part * (y[0] - x[0]), x[1] + part * (y[1] - x[1]))

    return ControlPoint(
        cumulative_weight=a.cumulative_weight + part * (b.cumulative_weight - a.cumulative_weight),
        jaw_x_mm=pair(a.jaw_x_mm, b.jaw_x_mm),
        jaw_y_mm=pair(a.jaw_y_mm, b.jaw_y_mm),
        leaf_positions_mm=a.leaf_positions_mm + part * (b.leaf_positions_mm - a.leaf_positions_mm),
    )
