"""Limits as the optimiser sees them, and what their worst case means at its points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Severity
from rerad.optimize import worst_case_cap
from rerad.planning.points import Points


@dataclass(frozen=True, eq=False, slots=True)
class CapCorner:
    """One corner of what may have been: an alpha/beta, and the most that was given before.

    Parameters
    ----------
    alpha_beta_gy : float
        End of its interval.
    prior : Dose or None
        Highest earlier EQD2 at that alpha/beta, with the least recovery; NaN where unknown. None
        if the patient had none.
    """

    alpha_beta_gy: float
    prior: Dose | None


@dataclass(frozen=True, eq=False, slots=True)
class OrganCap:
    """A cumulative limit as the optimiser sees it: a bound on every voxel of an organ.

    Parameters
    ----------
    structure : str
        Name.
    limit_eqd2_gy : float
        Cumulative EQD2 that no voxel should exceed.
    aim_eqd2_gy : float
        What the optimiser stays below: the limit, less a margin for what sequencing changes.
    alpha_beta_gy : float
        Of the organ.
    prior : Dose or None
        Earlier EQD2 at that alpha/beta after the recovery that goes with the limit; None if the
        patient had none.
    excludes_targets : bool
        Whether voxels inside a target are left out, because the breach there is accepted.
    tag : str
        Tells limits of one structure apart.
    corners : tuple of CapCorner
        Of a robust plan: the limit is to hold at each of them; empty believes `prior`.
    is_point_maximum : bool
        Whether the limit is for the highest dose anywhere: then every voxel that such a reading
        touches is capped, those beside the organ too.
    """

    structure: str
    limit_eqd2_gy: float
    aim_eqd2_gy: float
    alpha_beta_gy: float
    prior: Dose | None
    excludes_targets: bool
    tag: str = ""
    corners: tuple[CapCorner, ...] = ()
    is_point_maximum: bool = False

    @property
    def label(self) -> str:
        """Structure and tag, for names of objectives and caps."""
        return f"{self.structure} {self.tag}".strip()


@dataclass(frozen=True, slots=True)
class PhysicalCap:
    """An upper bound on this plan's physical dose in a structure, in Gy; penalised, or hard."""

    structure: str
    limit_gy: float
    is_hard: bool = False
    metric: str = ""

    @property
    def label(self) -> str:
        """Structure and metric, for names of objectives and caps."""
        return f"{self.structure} {self.metric}".strip()


def prior_readings(
    cap: OrganCap, points: Points, indices: NDArray[np.int64], prior: NDArray[np.float64]
) -> list[tuple[str, NDArray[np.float64], float]]:
    """Return name, earlier dose and alpha/beta of each objective of a limit: one a corner.

    Where the earlier dose of a corner is unknown, the one that is believed is taken.
    """
    name = f"{cap.label} limit"
    if not cap.corners:
        return [(name, prior, cap.alpha_beta_gy)]
    read = []
    for corner in cap.corners:
        label = name if len(cap.corners) == 1 else f"{name}, a/b {corner.alpha_beta_gy:g}"
        there = corner_prior(corner, points, indices)
        read.append((label, np.where(np.isnan(there), prior, there), corner.alpha_beta_gy))
    return read


def corner_prior(
    corner: CapCorner, points: Points, indices: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the earlier dose of a corner at some points."""
    if corner.prior is None:
        return np.zeros(len(indices))
    return points.sample(corner.prior.values)[indices]


def corner_findings(
    cap: OrganCap, points: Points, indices: NDArray[np.int64], prior: NDArray[np.float64]
) -> list[Finding]:
    """Say where the worst case cannot be held against, though what is believed can."""
    if not cap.corners:
        return []
    priors = [corner_prior(corner, points, indices) for corner in cap.corners]
    can = prior < cap.limit_eqd2_gy  # false for NaN too
    voxel_cc = points.grid.voxel_volume_cc
    unknown = np.isnan(priors).any(axis=0) & can
    spent = (np.fmax.reduce(priors) >= cap.limit_eqd2_gy) & can & ~unknown
    findings = []
    for where, why in ((unknown, "is unknown"), (spent, "leaves nothing of the limit")):
        if where.any():
            text = (
                f"In about {np.count_nonzero(where) * voxel_cc:.1f} cc of {cap.structure} the "
                f"worst case of the earlier dose {why}; there the limit was held for the earlier "
                "dose as mapped only."
            )
            findings.append(Finding(Severity.CAUTION, "worst-case-not-held", text, cap.structure))
    return findings


def worst_case_dose_gy(
    cap: OrganCap,
    points: Points,
    indices: NDArray[np.int64],
    believed_gy: NDArray[np.float64],
    n_fractions: int,
) -> NDArray[np.float64]:
    """Return the most that points may get whatever the truth is, never more than what is believed.

    Parameters
    ----------
    cap : OrganCap
        With or without corners.
    points : Points
        What the optimiser looks at.
    indices : ndarray of int, shape (N,)
        Some of them.
    believed_gy : ndarray of shape (N,)
        What the earlier dose as mapped leaves; it holds where the worst case is unknown or leaves
        nothing.
    n_fractions : int
        Of the new plan.
    """
    if not cap.corners:
        return believed_gy
    priors = [corner_prior(corner, points, indices) for corner in cap.corners]
    at = [corner.alpha_beta_gy for corner in cap.corners]
    worst = worst_case_cap(priors, at, cap.aim_eqd2_gy, n_fractions)
    holds = worst > 0  # false for NaN too
    return np.where(holds, np.minimum(worst, believed_gy), believed_gy)
