"""From fluence to maps by matrix products: a fine map near the fluence, a coarse one beyond.

A kernel that falls off in all directions alike is a sum of few products of a function of y and
one of x. The joint singular value decomposition of all components on the lattice finds them (8
to 14 suffice for rounding of float32 to matter as much), so that the convolution of a fluence is
two matrix products, in which only rows that hold fluence and nodes that hold points occur. All
beams share the matrices.

Far from the fluence only scatter is left, which is smooth: there a map on every third cell is
sampled linearly, and the fluence is condensed to every third column before (cubic Lagrange
weights, which keep its moments up to the third).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.dosecalc.beam_model import KernelComponents
from rerad.dosecalc.raster import spline_kernels
from rerad.kernels.map_sampling import multiply_matrices

Floats = NDArray[np.float32]

LEAST_SINGULAR_VALUE = 1e-3
"""Products that contribute less than this share of the strongest are left out."""

ROW_STEP, COLUMN_STEP = 4, 16
"""Matrices have a multiple of so many rows and columns, see `multiply_matrices`."""


def _rounded_up(n: int, step: int) -> int:
    return -(-n // step) * step


@dataclass(frozen=True, slots=True)
class NodeLine:
    """Nodes of a map along one axis, in cells of the fluence raster.

    Parameters
    ----------
    first : int
        Place of the first node; cell 0 is the first cell of the fluence window.
    step : int
        Cells from node to node.
    n : int
        Number of nodes, a multiple of 4.
    """

    first: int
    step: int
    n: int

    @classmethod
    def over(cls, low: float, high: float, *, step: int) -> "NodeLine":
        """Return the nodes that surround the places from `low` to `high`."""
        first = int(np.floor(low))
        n = int(np.floor((high - first) / step)) + 2
        return cls(first, step, _rounded_up(n, ROW_STEP))

    def displacements(self, n_cells: int, *, first: int = 0, step: int = 1) -> NDArray[np.int64]:
        """Return node minus cell, shape (n, n_cells), of cells from `first` every `step`."""
        nodes = self.first + self.step * np.arange(self.n)
        return np.asarray(nodes[:, None] - first - step * np.arange(n_cells))


@dataclass(frozen=True, eq=False, slots=True)
class SeparableKernels:
    """Kernels on the lattice as sums of products.

    Parameters
    ----------
    along_y : ndarray of shape (R, Y)
        By displacement in cells, symmetric.
    along_x : ndarray of shape (C, R, X)
        Likewise, for each component.
    """

    along_y: NDArray[np.float64]
    along_x: NDArray[np.float64]

    @classmethod
    def of(
        cls, components: KernelComponents, n_y: int, n_x: int, *, cell_mm: float
    ) -> "SeparableKernels":
        """Decompose kernels for displacements below `n_y` and `n_x` cells."""
        kernels = spline_kernels(components, n_y, n_x, cell_mm=cell_mm)
        # What counts is dose, so each component has the weight that points give it.
        importance = np.sqrt(np.mean(components.weights**2, axis=(0, 1)))
        care_y, care_x = _care(n_y), _care(n_x)
        rows = kernels * importance[:, None, None] * care_y[:, None] * care_x
        rows = rows.transpose(1, 0, 2).reshape(n_y, -1)
        squares, basis = np.linalg.eigh(rows @ rows.T)
        keep = squares > LEAST_SINGULAR_VALUE**2 * squares[-1]
        along_y = (basis[:, keep].T / care_y)[::-1]
        along_x = np.einsum("ry,y,cyx->crx", along_y, care_y**2, kernels)
        return cls(along_y, along_x)

    def at_nodes(self) -> "SeparableKernels":
        """Return values of the splines at their nodes instead of their coefficients."""
        return SeparableKernels(_node_values(self.along_y), _node_values(self.along_x))


def _care(n: int) -> NDArray[np.float64]:
    """How much the decomposition cares for displacements 0 to n - 1 of one axis.

    All but 0 occur on both sides. Far out there are many cells, whose doses add up, so it cares
    more than the size of the kernel there says.
    """
    distance = np.arange(n)
    return np.where(distance > 0, np.sqrt(2.0), 1.0) * np.sqrt(1.0 + distance / 8.0)


def _node_values(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at the nodes of symmetric splines, along the last axis; the last one is dropped."""
    before = np.concatenate([coefficients[..., 1:2], coefficients[..., :-2]], axis=-1)
    return np.asarray((before + 4.0 * coefficients[..., :-1] + coefficients[..., 1:]) / 6.0)


@dataclass(frozen=True, eq=False, slots=True)
class MapLevel:
    """The products that make one map of every beam, and their transposes.

    Parameters
    ----------
    y, x : NodeLine
        Nodes.
    condense : ndarray of float32, shape (1, X, X') or None
        Condenses the columns of the fluence.
    rows : ndarray of float32, shape (1, V R, Y)
        Along y: for each node, all products.
    columns : ndarray of float32, shape (G, R X', 4 U)
        Along x: for each node four components.
    """

    y: NodeLine
    x: NodeLine
    condense: Floats | None
    rows: Floats
    columns: Floats
    condense_back: Floats | None
    rows_back: Floats
    columns_back: Floats

    @property
    def n_bytes(self) -> int:
        """Memory of the matrices."""
        arrays = (self.rows, self.columns, self.rows_back, self.columns_back)
        return sum(array.nbytes for array in arrays)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the fluence, padded."""
        if self.condense is not None:
            return self.rows.shape[2], self.condense.shape[1]
        return self.rows.shape[2], self.columns.shape[1] * self.y.n // self.rows.shape[1]

    def map_shape(self, n_beams: int) -> tuple[int, int, int, int, int]:
        """Shape of the maps of all beams, ``(G, B, V, U, 4)``."""
        return len(self.columns), n_beams, self.y.n, self.x.n, 4

    def convolve(self, fluence: Floats) -> Floats:
        """Return the maps (G, B, V, U, 4) of fluences (B, Y, X)."""
        if self.condense is not None:
            fluence = _product(fluence, self.condense)
        halfway = _product(self.rows, fluence)
        halfway = halfway.reshape(1, len(fluence) * self.y.n, -1)
        return _product(halfway, self.columns).reshape(self.map_shape(len(fluence)))

    def convolve_back(self, maps: Floats) -> Floats:
        """Apply the adjoint of `convolve`."""
        n_groups, n_beams = maps.shape[:2]
        flat = maps.reshape(n_groups, n_beams * self.y.n, -1)
        halfway = _product(flat, self.columns_back)
        halfway = halfway[0] if n_groups == 1 else halfway.sum(axis=0)
        n_columns = self.columns.shape[1] * self.y.n // self.rows.shape[1]
        fluence = _product(self.rows_back, halfway.reshape(n_beams, -1, n_columns))
        return fluence if self.condense_back is None else _product(fluence, self.condense_back)


def _product(left: Floats, right: Floats) -> Floats:
    """Multiply stacks of matrices."""
    product = np.empty((max(len(left), len(right)), left.shape[1], right.shape[2]), np.float32)
    multiply_matrices(left, right, product)
    return product


def _lagrange(n_cells: int, step: int) -> tuple[NDArray[np.float64], int]:
    """Weights (cells, nodes) that carry cells to nodes every `step`; the first is at ``-step``."""
    place = np.arange(n_cells) / step + 1.0
    second = np.floor(place).astype(int)
    t = place - second
    n_nodes = int(second[-1]) + 3
    weights = np.zeros((n_cells, n_nodes))
    cells = np.arange(n_cells)
    weights[cells, second - 1] = -t * (t - 1.0) * (t - 2.0) / 6.0
    weights[cells, second] = (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0
    weights[cells, second + 1] = -(t + 1.0) * t * (t - 2.0) / 2.0
    weights[cells, second + 2] = (t + 1.0) * t * (t - 1.0) / 6.0
    return weights, n_nodes


def map_level(
    kernels: SeparableKernels, y: NodeLine, x: NodeLine, window: tuple[int, int]
) -> MapLevel:
    """Prepare the products for one map.

    Parameters
    ----------
    kernels : SeparableKernels
        Coefficients for a fine map (sampled by splines), values for a coarse one.
    y, x : NodeLine
        Its nodes; columns of the fluence are condensed to the step of `x`.
    window : tuple of int
        Rows and columns of the fluence.
    """
    n_y, n_x = window
    n_rows, n_columns = _rounded_up(n_y, ROW_STEP), _rounded_up(n_x, COLUMN_STEP)
    n_products = len(kernels.along_y)
    rows = np.zeros((y.n, n_products, n_rows), dtype=np.float32)
    by_place = kernels.along_y[:, np.abs(y.displacements(n_y))]
    rows[:, :, :n_y] = by_place.transpose(1, 0, 2)

    condense, first, n_sources = None, 0, n_x
    if x.step > 1:
        weights, n_sources = _lagrange(n_x, x.step)
        first = -x.step
        condense = np.zeros((1, n_columns, _rounded_up(n_sources, COLUMN_STEP)), np.float32)
        condense[0, :n_x, :n_sources] = weights
    away = np.abs(x.displacements(n_sources, first=first, step=x.step))
    n_components = len(kernels.along_x)
    n_groups = -(-n_components // 4)
    columns = np.zeros(
        (4 * n_groups, n_products, _rounded_up(n_sources, COLUMN_STEP), x.n), dtype=np.float32
    )
    columns[:n_components, :, :n_sources] = kernels.along_x[:, :, away].transpose(0, 1, 3, 2)
    side_by_side = columns.reshape(n_groups, 4, -1, x.n).transpose(0, 2, 3, 1)
    along_x = np.ascontiguousarray(side_by_side).reshape(n_groups, -1, 4 * x.n)
    along_y = rows.reshape(1, -1, n_rows)
    return MapLevel(
        y,
        x,
        condense,
        along_y,
        along_x,
        None if condense is None else _transposed(condense),
        _transposed(along_y),
        _transposed(along_x),
    )


def _transposed(matrices: Floats) -> Floats:
    """Transpose each matrix of a stack."""
    return np.ascontiguousarray(matrices.transpose(0, 2, 1))
