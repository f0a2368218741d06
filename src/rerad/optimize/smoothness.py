"""An objective on the fluence itself: the smoother, the fewer monitor units it takes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rerad.core import BixelGrid
from rerad.errors import InputError
from rerad.optimize.terms import Floats, checked_positive


@dataclass(frozen=True, eq=False, slots=True)
class FluenceSmoothness:
    r"""Mean squared step between neighbouring beamlets.

    .. math:: \frac{w}{n s^2} \Big[ \sum (x_u - x_{u+1})^2 + q \sum (x_r - x_{r+1})^2 \Big]

    The first sum runs along the leaves, the second across them, over the `n` pairs of active
    beamlets that touch.

    Parameters
    ----------
    name : str
        What to call it.
    grids : tuple of BixelGrid
        Beams in the order of the operator's unknowns: active beamlets, row by row.
    scale_mu : float
        Fluence :math:`s` in MU relative to which a step counts, above 0; the uniform start of
        the solver (:func:`rerad.optimize.uniform_start_mu`) is a good choice.
    importance : float
        :math:`w`, above 0.
    across_leaves : float
        :math:`q`, weight of steps between neighbouring leaf pairs, 0 or more.

    Raises
    ------
    InputError
        If a number is out of range or no two active beamlets touch.
    """

    name: str
    grids: tuple[BixelGrid, ...]
    scale_mu: float
    importance: float
    across_leaves: float = 0.5
    _differences: sparse.csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grids", tuple(self.grids))
        checked_positive(self.name, "scale in MU", self.scale_mu)
        checked_positive(self.name, "importance", self.importance)
        if not 0 <= self.across_leaves < np.inf:
            msg = f"objective {self.name}: expected across_leaves of 0 or more"
            raise InputError(msg)
        object.__setattr__(self, "_differences", self._difference_matrix())

    def value_and_gradient(self, fluence_mu: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by each beamlet.

        Parameters
        ----------
        fluence_mu : ndarray of shape (n_beamlets,)
            Active beamlets of all beams.
        """
        steps = self._differences @ fluence_mu
        return float(np.sum(steps**2)), np.asarray(2.0 * (self._differences.T @ steps))

    def curvature(self) -> Floats:
        """Return the diagonal of the second derivative."""
        return np.asarray(2.0 * self._differences.power(2).sum(axis=0)).ravel()

    def _difference_matrix(self) -> sparse.csr_array:
        first, second, weight, offset = [], [], [], 0
        for grid in self.grids:
            number = np.full(grid.is_active.shape, -1, dtype=np.int64)
            number[grid.is_active] = offset + np.arange(grid.n_active)
            offset += grid.n_active
            along = (number[:, :-1], number[:, 1:], 1.0)
            across = (number[:-1], number[1:], self.across_leaves)
            for here, there, pair_weight in (along, across):
                touch = (here >= 0) & (there >= 0)
                first.append(here[touch])
                second.append(there[touch])
                weight.append(np.full(int(touch.sum()), pair_weight))
        return _pair_matrix(
            np.concatenate(first),
            np.concatenate(second),
            np.sqrt(np.concatenate(weight) * self.importance) / self.scale_mu,
            offset,
        )


def _pair_matrix(
    first: NDArray[np.int64], second: NDArray[np.int64], factor: Floats, n_beamlets: int
) -> sparse.csr_array:
    """Return the matrix whose rows are factor * (x_first - x_second), over the root of rows."""
    n_pairs = len(first)
    if n_pairs == 0:
        msg = "expected active beamlets that touch each other, got none; leave smoothness out"
        raise InputError(msg)
    rows = np.arange(n_pairs)
    values = np.concatenate((factor, -factor)) / np.sqrt(n_pairs)
    place = (np.concatenate((rows, rows)), np.concatenate((first, second)))
    return sparse.csr_array((values, place), shape=(n_pairs, n_beamlets))
