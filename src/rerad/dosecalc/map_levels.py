"""From fluence to maps by matrix products: a fine map near the fluence, a coarse one beyond.

A kernel that falls off in all directions alike is a sum of few products of a function of y and
one of x. The joint singular value decomposition of all components on the lattice finds them (8
to 14 suffice for rounding of float32 to matter as much), so that the convolution of a fluence is
two matrix products, in which only rows that hold fluence and nodes that hold points occur. All
beams share the matrices. Nodes and fluence have one centre, about which both are folded into even
and odd parts: half the numbers to multiply (`rerad.kernels.map_products`).

Far from the fluence only scatter is left, which is smooth: there a map on every third cell is
sampled linearly, and the fluence is condensed to every third column before (cubic Lagrange
weights, which keep its moments up to the third).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.dosecalc.beam_model import KernelComponents
from rerad.dosecalc.raster import spline_kernels
from rerad.kernels.map_products import convolve_back, convolve_fluence

Floats = NDArray[np.float32]

LEAST_SINGULAR_VALUE = 1e-3
"""Products that contribute less than this share of the strongest are left out."""

ROW_STEP, COLUMN_STEP = 4, 8
"""Matrices have a multiple of so many rows and columns, see `rerad.kernels.map_products`."""


def _rounded_up(n: int, step: int) -> int:
    return -(-n // step) * step


@dataclass(frozen=True, slots=True)
class NodeLine:
    """Nodes along one axis about the middle of the fluence window, in cells of its raster.

    Parameters
    ----------
    n_cells : int
        Cells of the window, even.
    step : int
        Cells from node to node, odd, so that nodes fall on cells.
    half : int
        Nodes on each side of the middle, a multiple of 4.
    """

    n_cells: int
    step: int
    half: int

    @classmethod
    def over(cls, n_cells: int, low: float, high: float, *, step: int) -> "NodeLine":
        """Return the nodes that surround the places from `low` to `high`; cell 0 is at 0."""
        middle = 0.5 * (n_cells - 1)
        reach = max(middle - low, high - middle)
        return cls(n_cells, step, _rounded_up(int(np.ceil(reach / step + 0.5)), ROW_STEP))

    @property
    def n(self) -> int:
        """Number of nodes."""
        return 2 * self.half

    @property
    def first(self) -> int:
        """Place of the first node; cell 0 is at 0."""
        return (self.n_cells - 1 - self.step * (self.n - 1)) // 2

    def displacements(self, n_sources: int, *, step: int = 1) -> NDArray[np.int64]:
        """Return distances (2, half, n_sources) of folded nodes from sources every `step` cells.

        First of those on the node's own side of the middle, then of their mirror images.
        """
        node = self.step * (2 * np.arange(self.half)[:, None] + 1)
        source = step * (2 * np.arange(n_sources) + 1)
        return np.asarray(np.abs(np.stack([node - source, node + source])) // 2)


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

    The matrices are those of `rerad.kernels.map_products`.

    Parameters
    ----------
    y, x : NodeLine
        Nodes.
    condense : ndarray of float32, shape (2, X', X") or (2, X', 0)
        Condenses the columns of the fluence.
    rows : ndarray of float32, shape (2, V R, Y')
        Along y: for each node, all products.
    columns : ndarray of float32, shape (2, G, R X", 4 U)
        Along x: for each node four components.
    condense_back, rows_back, columns_back : ndarray of float32
        Transposes.
    """

    y: NodeLine
    x: NodeLine
    condense: Floats
    rows: Floats
    columns: Floats
    condense_back: Floats
    rows_back: Floats
    columns_back: Floats

    @property
    def n_bytes(self) -> int:
        """Memory of the matrices."""
        forward = (self.condense, self.rows, self.columns)
        return 2 * sum(array.nbytes for array in forward)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the fluence."""
        return self.y.n_cells, self.x.n_cells

    def map_shape(self, n_beams: int) -> tuple[int, int, int, int, int]:
        """Shape of the maps of all beams, ``(G, B, V, U, 4)``."""
        return self.columns.shape[1], n_beams, self.y.n, self.x.n, 4

    def convolve(self, fluence: Floats) -> Floats:
        """Return the maps (G, B, V, U, 4) of fluences (B, Y, X)."""
        maps = np.empty(self.map_shape(len(fluence)), np.float32)
        convolve_fluence(fluence, self.condense, self.rows, self.columns, maps)
        return maps

    def convolve_back(self, chunks: Floats) -> Floats:
        """Apply the adjoint of `convolve` to the sum of maps (chunks, G, B, V, U, 4)."""
        fluence = np.empty((chunks.shape[2], *self.window), np.float32)
        matrices = (self.condense_back, self.rows_back, self.columns_back)
        convolve_back(chunks, *matrices, fluence)
        return fluence


def _folded(own: NDArray[np.float64], mirrored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what even and odd parts are multiplied with, (2, ...)."""
    return np.stack([own + mirrored, own - mirrored])


def _condensing(n_cells: int, step: int) -> NDArray[np.float64]:
    """Folded cubic Lagrange weights (2, cells, sources) that carry cells to every `step`."""
    half = n_cells // 2
    # One source beyond the last cell's second, also if that cell lies on a source.
    n_sources = int((n_cells - 1) / (2 * step) + 1.5) + 1
    place = (np.arange(half) + 0.5) / step + n_sources - 0.5
    second = np.floor(place).astype(int)
    t = place - second
    weights = np.zeros((half, 2 * n_sources))
    cells = np.arange(half)
    weights[cells, second - 1] = -t * (t - 1.0) * (t - 2.0) / 6.0
    weights[cells, second] = (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0
    weights[cells, second + 1] = -(t + 1.0) * t * (t - 2.0) / 2.0
    weights[cells, second + 2] = (t + 1.0) * t * (t - 1.0) / 6.0
    return _folded(weights[:, n_sources:], weights[:, n_sources - 1 :: -1])


def map_level(kernels: SeparableKernels, y: NodeLine, x: NodeLine) -> MapLevel:
    """Prepare the products for one map.

    Parameters
    ----------
    kernels : SeparableKernels
        Coefficients for a fine map (sampled by splines), values for a coarse one.
    y, x : NodeLine
        Its nodes; columns of the fluence are condensed to the step of `x`.
    """
    n_y, n_x = (line.n_cells // 2 for line in (y, x))
    n_products, n_components = len(kernels.along_y), len(kernels.along_x)
    rows = np.zeros((2, y.half, n_products, _rounded_up(n_y, ROW_STEP)))
    along_y = 0.5 * kernels.along_y[:, y.displacements(n_y)]
    rows[..., :n_y] = _folded(along_y[:, 0], along_y[:, 1]).transpose(0, 2, 1, 3)

    padded = _rounded_up(n_x, COLUMN_STEP)
    condense, n_sources = np.zeros((2, padded, 0)), n_x
    if x.step > 1:
        weights = _condensing(x.n_cells, x.step)
        n_sources = weights.shape[2]
        condense = np.zeros((2, padded, _rounded_up(n_sources, COLUMN_STEP)))
        condense[:, :n_x, :n_sources] = weights
    n_groups = -(-n_components // 4)
    columns = np.zeros((2, 4 * n_groups, n_products, _rounded_up(n_sources, COLUMN_STEP), x.half))
    along_x = 0.5 * kernels.along_x[:, :, x.displacements(n_sources, step=x.step)]
    folded = _folded(along_x[:, :, 0], along_x[:, :, 1])
    columns[:, :n_components, :, :n_sources] = folded.transpose(0, 1, 2, 4, 3)
    side_by_side = columns.reshape(2, n_groups, 4, -1, x.half).transpose(0, 1, 3, 4, 2)
    matrices = (
        condense,
        rows.reshape(2, -1, rows.shape[3]),
        side_by_side.reshape(2, n_groups, -1, 4 * x.half),
    )
    back = (matrix.swapaxes(-1, -2) for matrix in matrices)
    forth_and_back = [np.ascontiguousarray(m, np.float32) for m in (*matrices, *back)]
    return MapLevel(y, x, *forth_and_back)
