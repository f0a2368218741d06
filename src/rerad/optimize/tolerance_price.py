r"""What a Gy of tolerance here would buy there: the multipliers of hard caps, voxel by voxel.

At the optimum the multiplier :math:`\lambda_i` of a cap :math:`D_i \le D_{max,i}` is the fall of
the objective for each Gy that the cap is raised [1]_. Limits are cumulative, and a Gy of EQD2 at
voxel `i` raises the cap by :math:`dD/dE = (2 + a) / (2 D / n + a)`, so its price is
:math:`\lambda_i` times that. Prices hold for small changes; raising many voxels at once buys at
most the sum.

References
----------
.. [1] Boyd & Vandenberghe (2004), Convex Optimization, section 5.6 (sensitivity),
   doi:10.1017/CBO9780511804441.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import Grid
from rerad.core.arrays import frozen_array
from rerad.errors import GridMismatchError, InputError
from rerad.optimize.constraints import DoseCap
from rerad.optimize.terms import Floats


@dataclass(frozen=True, eq=False, slots=True)
class PriceMap:
    """Price of tolerance on the dose grid.

    Parameters
    ----------
    values : ndarray of float32, shape (K, J, I)
        Fall of the objective per Gy; 0 where the limit costs nothing, NaN where there is none.
    grid : Grid
        The dose grid.
    unit : str
        Of the values, for the legend: "objective per Gy EQD2".

    Raises
    ------
    GridMismatchError
        If `values` and `grid` differ in shape.
    """

    values: NDArray[np.float32]
    grid: Grid
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values, np.float32))
        if self.values.shape != self.grid.shape:
            msg = f"expected prices of shape {self.grid.shape}, got {self.values.shape}"
            raise GridMismatchError(msg)


def price_per_eqd2_gy(
    multiplier: ArrayLike, dose_gy: ArrayLike, *, alpha_beta_gy: ArrayLike, n_fractions: int
) -> Floats:
    """Return the price of a Gy of cumulative EQD2 from that of a Gy of physical dose.

    Parameters
    ----------
    multiplier : array_like of shape (N,)
        Fall of the objective per Gy of the physical cap, 0 or more.
    dose_gy : array_like of shape (N,)
        Total physical dose of the new plan there (at its cap, wherever the price is not 0).
    alpha_beta_gy : array_like, one value or shape (N,)
        Of the organ, above 0.
    n_fractions : int
        Of the new plan, at least 1.

    Raises
    ------
    InputError
        If alpha/beta or the number of fractions is out of range.
    """
    alpha_beta = np.asarray(alpha_beta_gy, dtype=np.float64)
    if not np.all(alpha_beta > 0) or n_fractions < 1:
        msg = (
            f"expected alpha/beta above 0 Gy and at least 1 fraction, got {alpha_beta} and "
            f"{n_fractions}"
        )
        raise InputError(msg)
    dose = np.maximum(np.asarray(dose_gy, dtype=np.float64), 0.0)
    slope = (2.0 * dose / n_fractions + alpha_beta) / (2.0 + alpha_beta)
    return np.asarray(np.asarray(multiplier, dtype=np.float64) / slope)


def price_on_grid(
    grid: Grid,
    voxel_of_point: NDArray[np.int64],
    caps: Sequence[DoseCap],
    prices: Mapping[str, Floats],
    *,
    unit: str,
) -> PriceMap:
    """Put the prices of capped points onto the dose grid.

    Parameters
    ----------
    grid : Grid
        The dose grid.
    voxel_of_point : ndarray of int, shape (n_points,)
        Flat voxel of each point of the operator; with set-up scenarios several points are one
        voxel (see :attr:`rerad.optimize.ShiftedDose.nominal_points`).
    caps : sequence of DoseCap
        Of the problem.
    prices : mapping of str to ndarray
        Of each cap by name: `Solution.cap_multipliers`, or :func:`price_per_eqd2_gy` of them. A
        voxel under several caps has the sum: what raising all of them would buy.
    unit : str
        Of the prices.

    Returns
    -------
    PriceMap

    Raises
    ------
    InputError
        If a cap has no prices or a wrong number of them.
    """
    voxels = np.asarray(voxel_of_point, dtype=np.int64)
    values = np.full(grid.n_voxels, np.nan)
    for cap in caps:
        price = prices.get(cap.name)
        if price is None or len(price) != len(cap.indices):
            n_prices = "none" if price is None else len(price)
            msg = f"cap {cap.name}: expected {len(cap.indices)} prices, got {n_prices}"
            raise InputError(msg)
        where = voxels[cap.indices]
        values[where] = np.nan_to_num(values[where])
        np.add.at(values, where, price)
    return PriceMap(values.reshape(grid.shape), grid, unit)
