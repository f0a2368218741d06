"""How far the optimiser's dose is from the final dose, in the numbers that a plan is judged by.

The optimiser works with pencil beams and ideal fluence, the verdict with collapsed cones and
leaves. After each correction pass the two are compared where it counts.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rerad.core import Mask
from rerad.planning.points import Points
from rerad.planning.result import PassAgreement

NEAR_MAXIMUM_CC = 0.1
"""Volume of the near-maximum dose that is compared in organs, as limits are stated for it."""


def agreement(
    predicted_gy: NDArray[np.float64],
    final_gy: NDArray[np.float64],
    points: Points,
    *,
    targets: Mapping[str, Mask],
    organs: Mapping[str, Mask],
) -> PassAgreement:
    """Compare two doses at the optimiser's points.

    Parameters
    ----------
    predicted_gy, final_gy : ndarray of shape (N,)
        Dose that the optimiser saw, with the corrections of earlier passes, and final dose.
    points : Points
        Where.
    targets, organs : mapping of str to Mask
        D98%, D50% and D2% of targets are compared; D0.1cc and mean of organs. All voxels of
        them are among the points.

    Returns
    -------
    PassAgreement
        Root mean square over the targets, and the number that differs most.
    """
    inside = np.zeros(len(points.indices), dtype=bool)
    worst = (0.0, "", "")
    for name, mask in targets.items():
        where, volume = points.of_mask(mask)
        inside[where] = True
        shares = {"D98%": 0.98, "D50%": 0.5, "D2%": 0.02}
        worst = max(worst, _largest(name, predicted_gy[where], final_gy[where], volume, shares))
    for name, mask in organs.items():
        where, volume = points.of_mask(mask)
        if not len(where):
            continue
        near = NEAR_MAXIMUM_CC / (float(volume.sum()) * points.grid.voxel_volume_cc)
        shares = {"D0.1cc": min(near, 1.0)}
        worst = max(worst, _largest(name, predicted_gy[where], final_gy[where], volume, shares))
        mean = abs(float(np.average(final_gy[where] - predicted_gy[where], weights=volume)))
        worst = max(worst, (mean, name, "Dmean"))
    rms = float(np.sqrt(np.mean((final_gy - predicted_gy)[inside] ** 2))) if inside.any() else 0.0
    return PassAgreement(rms_gy=rms, largest_gy=worst[0], structure=worst[1], metric=worst[2])


def _largest(
    name: str,
    predicted_gy: NDArray[np.float64],
    final_gy: NDArray[np.float64],
    volume: NDArray[np.float64],
    shares: Mapping[str, float],
) -> tuple[float, str, str]:
    """Largest difference of any D metric of one structure."""
    wanted = list(shares.values())
    first = dose_at_hottest(predicted_gy, volume, wanted)
    second = dose_at_hottest(final_gy, volume, wanted)
    return max(
        (abs(a - b), name, metric) for metric, a, b in zip(shares, first, second, strict=True)
    )


def dose_at_hottest(
    dose_gy: NDArray[np.float64], volume: NDArray[np.float64], shares: Sequence[float]
) -> list[float]:
    """Return the least dose of the hottest share of a volume, for each share."""
    order = np.argsort(dose_gy)[::-1]
    hottest = np.cumsum(volume[order])
    place = np.searchsorted(hottest, np.asarray(shares) * hottest[-1])
    return [float(dose_gy[order[min(p, len(order) - 1)]]) for p in place]
