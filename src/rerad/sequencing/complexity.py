r"""How hard a plan is to deliver as planned: monitor units, apertures, modulation.

Leaf positions move linearly between control points, so each stretch between two of them counts
with the mean of its ends, weighted by its monitor units [2]_.

References
----------
.. [1] McNiven, Sharpe & Purdie (2010), Med. Phys. 37, 505, doi:10.1118/1.3276775.
.. [2] Masi, Doro, Favuzza, Cipressi & Livi (2013), Med. Phys. 40, 071718,
   doi:10.1118/1.4810969.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, Machine, Plan
from rerad.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BeamComplexity:
    """Complexity of one beam.

    Parameters
    ----------
    beam : str
        Name.
    meterset_mu : float
        MU of one fraction.
    mean_aperture_cm2 : float
        Area between the tips inside the jaws, averaged over the meterset.
    small_gap_share : float
        Share of the open leaf pairs, averaged over the meterset, whose gap is below the threshold.
    modulation_complexity_score : float
        1 for an open rectangle that does not move, towards 0 the more it is modulated.
    n_control_points : int
        Control points.
    """

    beam: str
    meterset_mu: float
    mean_aperture_cm2: float
    small_gap_share: float
    modulation_complexity_score: float
    n_control_points: int


@dataclass(frozen=True, slots=True)
class PlanComplexity:
    """Complexity of a plan: its beams, and their means by monitor units.

    Parameters
    ----------
    mu_per_gy : float
        MU of a fraction per Gy of the highest prescription in a fraction.
    mean_aperture_cm2, small_gap_share, modulation_complexity_score : float
        As for a beam, averaged over the meterset of all beams.
    beams : tuple of BeamComplexity
        Each beam.
    """

    mu_per_gy: float
    mean_aperture_cm2: float
    small_gap_share: float
    modulation_complexity_score: float
    beams: tuple[BeamComplexity, ...]


def complexity(plan: Plan, machine: Machine, *, small_gap_mm: float = 10.0) -> PlanComplexity:
    """Return what a plan asks of the machine.

    Parameters
    ----------
    plan : Plan
        With at least one beam and one prescription.
    machine : Machine
        For the leaf widths.
    small_gap_mm : float
        Gaps below this count as small.

    Returns
    -------
    PlanComplexity
        Of the plan and of each beam.

    Raises
    ------
    InputError
        If the plan has no beam with monitor units, or no prescription.
    """
    total_mu = plan.meterset_mu
    if total_mu <= 0 or not plan.prescriptions:
        msg = f"plan {plan.label}: expected beams with monitor units and a prescription"
        raise InputError(msg)
    beams = tuple(beam_complexity(beam, machine, small_gap_mm) for beam in plan.beams)
    shares = np.array([beam.meterset_mu for beam in beams]) / total_mu
    per_fraction = max(item.dose_gy for item in plan.prescriptions) / plan.n_fractions_planned
    scores = np.array([beam.modulation_complexity_score for beam in beams])
    return PlanComplexity(
        mu_per_gy=total_mu / per_fraction,
        mean_aperture_cm2=float(shares @ np.array([beam.mean_aperture_cm2 for beam in beams])),
        small_gap_share=float(shares @ np.array([beam.small_gap_share for beam in beams])),
        modulation_complexity_score=float(shares @ scores),
        beams=beams,
    )


def beam_complexity(beam: Beam, machine: Machine, small_gap_mm: float) -> BeamComplexity:
    r"""Return what one beam asks of the machine.

    With openings :math:`w_k` of the leaf pairs inside the jaws and tip positions :math:`p_k` of
    the pairs that open at all during the beam,

    .. math:: AAV = \frac{\sum_k w_k}{\sum_k (\max p_{right} - \min p_{left})_k}, \qquad
       LSV = \prod_{banks} \frac{\sum_k (p_{max} - |p_k - p_{k+1}|)}{(N - 1) \, p_{max}},

    where the widest aperture is over all control points and :math:`p_{max}` is the range of the
    bank's positions; the score is the mean of AAV times LSV over the meterset.

    Parameters
    ----------
    beam : Beam
        With its control points.
    machine : Machine
        For the leaf widths.
    small_gap_mm : float
        Gaps below this count as small.

    Returns
    -------
    BeamComplexity
        In the terms of McNiven et al.
    """
    tips, heights = _inside_jaws(beam, machine)
    openings = np.maximum(tips[:, 1] - tips[:, 0], 0.0)
    shares = np.diff([point.cumulative_weight for point in beam.control_points])
    closed_mm = machine.mlc.leaf_gap_min_mm + 0.1
    is_open = openings > closed_mm
    n_open = is_open.sum(axis=1)
    small = (is_open & (openings < small_gap_mm)).sum(axis=1)
    used = is_open.any(axis=0)
    scores = _area_variability(tips[:, :, used]) * _edge_variability(tips[:, :, used])
    open_mean = float(shares @ _midpoints(n_open.astype(np.float64)))
    small_mean = float(shares @ _midpoints(small.astype(np.float64)))
    return BeamComplexity(
        beam=beam.geometry.name,
        meterset_mu=beam.meterset_mu,
        mean_aperture_cm2=float(shares @ _midpoints(openings @ heights)) / 100.0,
        small_gap_share=small_mean / open_mean if open_mean > 0 else 0.0,
        modulation_complexity_score=float(shares @ scores),
        n_control_points=len(beam.control_points),
    )


def _inside_jaws(beam: Beam, machine: Machine) -> tuple[Floats, Floats]:
    """Return tips clipped to the jaws (points, banks, pairs), and pair heights in the field."""
    boundaries = machine.mlc.leaf_boundaries_mm
    jaws_y = np.array([point.jaw_y_mm for point in beam.control_points])
    jaws_x = np.array([point.jaw_x_mm for point in beam.control_points])
    low, high = float(jaws_y[:, 0].min()), float(jaws_y[:, 1].max())
    heights = np.minimum(boundaries[1:], high) - np.maximum(boundaries[:-1], low)
    inside = heights > 1e-3
    tips = np.stack([point.leaf_positions_mm for point in beam.control_points])[:, :, inside]
    clipped = np.clip(tips, jaws_x[:, 0, None, None], jaws_x[:, 1, None, None])
    return clipped, heights[inside]


def _midpoints(values: Floats) -> Floats:
    return np.asarray(0.5 * (values[1:] + values[:-1]))


def _area_variability(tips: Floats) -> Floats:
    """Return AAV of each stretch between control points."""
    widest = float((tips[:, 1].max(axis=0) - tips[:, 0].min(axis=0)).sum())
    if widest <= 0:
        return np.zeros(len(tips) - 1)
    return _midpoints((tips[:, 1] - tips[:, 0]).sum(axis=1) / widest)


def _edge_variability(tips: Floats) -> Floats:
    """Return LSV of each stretch between control points."""
    n_pairs = tips.shape[2]
    if n_pairs < 2:
        return np.ones(len(tips) - 1)
    steps = np.abs(np.diff(tips, axis=2)).mean(axis=2)
    reach = np.ptp(tips, axis=2)
    even = 1.0 - np.divide(steps, reach, out=np.zeros_like(steps), where=reach > 0)
    return _midpoints(even[:, 0] * even[:, 1])
