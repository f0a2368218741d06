"""What the earlier dose of an organ may have been at most, at each end of what is uncertain."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from rerad.accumulation import worst_prior_within
from rerad.core import Dose, Mask
from rerad.planning.budget import discounted_prior
from rerad.planning.inputs import RobustSettings
from rerad.planning.result import PriorCourse
from rerad.planning.terms import CapCorner


def corners_of(
    robustness: RobustSettings | None,
    priors: Sequence[PriorCourse],
    organ: Mask,
    alpha_beta_gy: float,
    recovery_fraction: float,
) -> tuple[CapCorner, ...]:
    """Return the corners of a cumulative limit; they are exact for all values between.

    Parameters
    ----------
    robustness : RobustSettings or None
        How far the past may be off; None, or nothing of it, gives no corner.
    priors : sequence of PriorCourse
        Earlier EQD2 on the dose grid, at both ends of alpha/beta.
    organ : Mask
        On a crop of the dose grid; the earlier dose is searched within it only.
    alpha_beta_gy : float
        Of the limit.
    recovery_fraction : float
        That the limit goes with.

    Returns
    -------
    tuple of CapCorner
        Doses on the whole dose grid: within the organ the highest that may have been there (NaN
        where a searched voxel is unknown), outside as mapped, but beside it no less than the
        highest of its voxels there: a value read between voxels of its surface must not be lower
        because what lies beside it had less.

    Raises
    ------
    InputError
        If the interval of alpha/beta reaches 0.
    """
    if robustness is None or not robustness.is_about_the_past:
        return ()
    recovery = robustness.least_recovery(recovery_fraction)
    corners = []
    for end in robustness.alpha_beta_ends_gy(alpha_beta_gy):
        prior = discounted_prior(priors, end, recovery)
        if prior is not None:
            prior = _worst_within(prior, organ, robustness.prior_shift_mm)
        corners.append(CapCorner(end, prior))
    return tuple(corners)


def _worst_within(prior: Dose, organ: Mask, reach_mm: tuple[float, float, float]) -> Dose:
    """Return a dose with its highest value within reach at each voxel of an organ."""
    if not any(reach_mm):
        return prior
    worst = worst_prior_within(prior, organ, reach_mm)
    inside = organ.on(prior.grid) > 0
    known = np.where(inside & ~np.isnan(worst.values), worst.values, -np.inf)
    beside = np.maximum(prior.values, ndimage.maximum_filter(known, size=3))
    values = np.where(inside, worst.values, beside)
    return replace(prior, values=values.astype(np.float32), instance_uid="")
