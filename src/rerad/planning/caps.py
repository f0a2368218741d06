"""Limits as the optimiser sees them, and what their worst case means at its points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Grid, Severity
from rerad.planning.limit_reading import LimitReading
from rerad.planning.points import Points
from rerad.radiobiology import eqd2, physical_from_eqd2

FREE_GY = 1e4
"""Cap in Gy of a voxel that no limit holds, or none yet: nobody knows what its readings need."""


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
    reading : LimitReading or None
        How the limit will be read; None is not read while the plan is made.
    """

    structure: str
    limit_eqd2_gy: float
    aim_eqd2_gy: float
    alpha_beta_gy: float
    prior: Dose | None
    excludes_targets: bool
    tag: str = ""
    corners: tuple[CapCorner, ...] = ()
    reading: LimitReading | None = None

    @property
    def label(self) -> str:
        """Structure and tag, for names of objectives and caps."""
        return f"{self.structure} {self.tag}".strip()

    @property
    def drawn(self) -> LimitReading | None:
        """How the limit is read between voxels; None where it is not.

        Outside targets, where a breach in them is accepted, an organ is judged voxel by voxel.
        """
        return None if self.excludes_targets else self.reading


@dataclass(frozen=True, slots=True)
class PhysicalCap:
    """An upper bound on this plan's physical dose in a structure, in Gy; penalised, or hard.

    `reading` is how it will be judged; None is not read while the plan is made.
    """

    structure: str
    limit_gy: float
    is_hard: bool = False
    metric: str = ""
    reading: LimitReading | None = None

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


def held_doses_gy(
    cap: OrganCap, grid: Grid, voxels: NDArray[np.int64], n_fractions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the most that voxels may get under a limit, and the alpha/beta that says so.

    That of the corner that leaves least, never more than what is believed; where corners are
    unknown or leave nothing, what the earlier dose as mapped leaves.

    Parameters
    ----------
    cap : OrganCap
        With or without corners; where its limit is for the highest dose anywhere, voxels may get
        what makes it hold between voxels too.
    grid : Grid
        The dose grid.
    voxels : ndarray of int, shape (N,)
        Flat voxels of it.
    n_fractions : int
        Of the new plan.

    Returns
    -------
    doses : ndarray of shape (N,)
        Physical dose of the new plan in Gy; NaN where the earlier dose is unknown.
    alpha_betas : ndarray of shape (N,)
        In Gy.
    """
    alpha_betas = np.array([cap.alpha_beta_gy, *(item.alpha_beta_gy for item in cap.corners)])
    doses = np.empty((len(alpha_betas), len(voxels)))
    priors = (cap.prior, *(corner.prior for corner in cap.corners))
    for row, (prior, alpha_beta) in enumerate(zip(priors, alpha_betas, strict=True)):
        given = np.zeros(len(voxels))
        if prior is not None:
            given = prior.values.ravel()[voxels].astype(np.float64)
        left = cap.aim_eqd2_gy - given
        if cap.drawn is not None and cap.drawn.is_maximum:
            read = cap.drawn.allowed_eqd2_gy(prior, grid, cap.aim_eqd2_gy).ravel()[voxels]
            left = np.where(read > 0, read, left)  # false for NaN: nothing leans on it
        doses[row] = physical_from_eqd2(
            left, n_fractions=n_fractions, alpha_beta_gy=float(alpha_beta)
        )
    is_held = np.all(doses > 0, axis=0)  # false for NaN too
    binding = np.where(is_held, np.argmin(doses, axis=0), 0)
    return doses[binding, np.arange(len(voxels))], alpha_betas[binding]


def read_doses_gy(
    cap: OrganCap, grid: Grid, now_gy: NDArray[np.float64], n_fractions: int
) -> NDArray[np.float64]:
    """Return the most that voxels may get so that a limit holds at its readings.

    Parameters
    ----------
    cap : OrganCap
        That is read between voxels; its corners do not count.
    grid : Grid
        The dose grid.
    now_gy : ndarray of shape (K, J, I)
        Physical dose of the new plan as it is; NaN where it is not known.
    n_fractions : int
        Of the new plan.

    Returns
    -------
    ndarray of shape (K, J, I)
        Physical dose in Gy; `FREE_GY` where only readings lean that the limit leaves out, NaN
        where none does.
    """
    if cap.drawn is None:
        return np.full(grid.shape, np.nan)
    now = eqd2(now_gy, n_fractions, cap.alpha_beta_gy)
    # Voxels keep the margin; where a volume is left out, readings at the organ's edge need none.
    limit = cap.aim_eqd2_gy if cap.drawn.is_maximum else cap.limit_eqd2_gy
    left = cap.drawn.allowed_eqd2_gy(cap.prior, grid, limit, now)
    doses = np.asarray(
        physical_from_eqd2(left, n_fractions=n_fractions, alpha_beta_gy=cap.alpha_beta_gy)
    )
    if cap.drawn.exempt_cc > 0:
        is_read = np.isfinite(cap.drawn.allowed_eqd2_gy(cap.prior, grid, limit))
        doses = np.where(is_read & np.isnan(left), FREE_GY, doses)
    return doses
