"""Fluence of all beams on rasters of one window: of beamlets, and of cells themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_array, kron

from rerad.core import BixelGrid, Machine
from rerad.dosecalc.raster import Raster, off_axis_map, overlap
from rerad.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Paint:
    """How the beamlets of all beams lie on their rasters, which share one window.

    Parameters
    ----------
    grids, rasters : tuple
        Beamlets and raster of each beam.
    off_axis : tuple of ndarray
        Open fluence relative to the axis of each raster's cells.
    window : tuple of int
        Rows and columns of all rasters, padded.
    paint : csr_array of shape (B Y X, n_beamlets)
        Fluence in each cell, off-axis ratio included, of one MU of each beamlet.
    collect : csr_array
        Its transpose.
    """

    grids: tuple[BixelGrid, ...]
    rasters: tuple[Raster, ...]
    off_axis: tuple[NDArray[np.float64], ...]
    window: tuple[int, int]
    paint: csr_array
    collect: csr_array

    @classmethod
    def of(
        cls,
        grids: Sequence[BixelGrid],
        rasters: Sequence[Raster],
        machine: Machine,
        window: tuple[int, int],
    ) -> "Paint":
        """Prepare painting of beamlets on rasters."""
        off_axis = tuple(off_axis_map(machine, raster) for raster in rasters)
        columns = [
            _cells_of_beamlets(*each, window)
            for each in zip(grids, rasters, off_axis, strict=True)
        ]
        paint = block_diag(columns, format="csr")
        return cls(tuple(grids), tuple(rasters), off_axis, window, paint, csr_array(paint.T))

    def beamlets(self, x_mu: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the fluences (B, Y, X) of all beamlets."""
        fluence = (self.paint @ x_mu).astype(np.float32)
        return np.asarray(fluence.reshape(-1, *self.window))

    def beamlet(self, number: int) -> tuple[int, NDArray[np.float32]]:
        """Return the beam of one beamlet, and the fluence (1, Y, X) of its MU."""
        entries = slice(*self.collect.indptr[number : number + 2])
        cells, size = self.collect.indices[entries], self.window[0] * self.window[1]
        fluence = np.zeros(size, np.float32)
        fluence[cells % size] = self.collect.data[entries]
        return int(cells[0]) // size, fluence.reshape(1, *self.window)

    def cells(self, rasters_mu: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
        """Return the fluences (B, Y, X) of MU times open share of each cell of the rasters."""
        fluence = np.zeros((len(self.rasters), *self.window), np.float32)
        if len(rasters_mu) != len(self.rasters):
            msg = f"expected {len(self.rasters)} rasters, one for each beam, got {len(rasters_mu)}"
            raise InputError(msg)
        for beam, (raster, values) in enumerate(zip(self.rasters, rasters_mu, strict=True)):
            if np.shape(values) != (raster.n_y, raster.n_x):
                msg = (
                    f"beam {beam}: expected a raster of {raster.n_y} rows and {raster.n_x} "
                    f"columns, got shape {np.shape(values)}"
                )
                raise InputError(msg)
            fluence[beam, : raster.n_y, : raster.n_x] = values * self.off_axis[beam]
        return fluence

    def back_to_cells(self, fluence: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """Adjoint of `cells`."""
        return [
            fluence[beam, : ratio.shape[0], : ratio.shape[1]] * ratio
            for beam, ratio in enumerate(self.off_axis)
        ]


def _cells_of_beamlets(
    grid: BixelGrid, raster: Raster, off_axis: NDArray[np.float64], window: tuple[int, int]
) -> csr_array:
    """Return the share of each cell of one beam that each active beamlet covers, times `off_axis`.

    Shape (Y X, active beamlets).
    """
    by_row = csr_array(overlap(grid.y_edges_mm, raster.y_edges_mm).T)
    by_column = csr_array(overlap(grid.x_edges_mm, raster.x_edges_mm).T)
    share = kron(by_row, by_column, format="coo")
    row, column = np.divmod(share.row, raster.n_x)
    number = np.cumsum(grid.is_active.ravel()) - 1
    used = grid.is_active.ravel()[share.col]
    places = (row * window[1] + column)[used], number[share.col[used]]
    values = (share.data * off_axis.ravel()[share.row])[used]
    return csr_array((values, places), shape=(window[0] * window[1], grid.n_active))
