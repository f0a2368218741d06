"""How exposure behind the collimator changes with every leaf tip and monitor unit of a beam.

The same model as :func:`rerad.dosecalc.aperture_exposure`, means over cells and nothing sampled
in time: transmission, dosimetric leaf gap, jaws, tongue and groove. Jaws stand still here, so what
depends on them alone is prepared once. See ``docs/methods/delivery.md``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, Machine
from rerad.dosecalc.apertures import control_states, row_edges_mm, row_weights, share_below
from rerad.dosecalc.raster import Raster
from rerad.errors import InputError
from rerad.kernels.leaf_exposure import leaf_exposure
from rerad.kernels.leaf_gradient import pull_exposure

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class ApertureRows:
    """The leaf rows of a beam that a raster sees, behind jaws that stand still.

    Parameters
    ----------
    raster : Raster
        Cells at the isocentre plane.
    rows : slice
        Leaf pairs that the raster sees.
    n_pairs : int
        All leaf pairs of the collimator.
    half_gap_mm : float
        Half of the dosimetric leaf gap, by which an edge lies behind its tip.
    jaw_x_mm : ndarray of shape (2,)
        X jaws.
    jaw_transmission : float
        Share that passes a jaw.
    weights : ndarray of shape (2 R, n_y)
        What R rows, the strips between them and a row without leaves add to each row of cells.
    """

    raster: Raster
    rows: slice
    n_pairs: int
    half_gap_mm: float
    jaw_x_mm: Floats
    jaw_transmission: float
    weights: Floats

    @classmethod
    def of(cls, beam: Beam, machine: Machine, raster: Raster) -> "ApertureRows":
        """Prepare the rows of a beam.

        Parameters
        ----------
        beam : Beam
            Whose jaws.
        machine : Machine
            For the collimator.
        raster : Raster
            Cells at the isocentre plane.

        Raises
        ------
        InputError
            If gantry or jaws move, leaf positions do not fit the collimator, or the raster sees
            no leaf.
        DeliverabilityError
            If leaves of a pair overlap or jaws cross.
        """
        _, jaws_x, jaws_y, _ = control_states(beam, machine)
        name = beam.geometry.name
        if np.ptp(jaws_x, axis=0).max() > 1e-6 or np.ptp(jaws_y, axis=0).max() > 1e-6:
            msg = f"beam {name}: expected jaws that stand still; leave beams whose jaws move as is"
            raise InputError(msg)
        n_pairs = machine.mlc.n_leaf_pairs
        weights = _weights(machine, jaws_y[0], raster)
        is_seen = np.any(weights[:n_pairs] != 0.0, axis=1)
        beside = np.any(weights[n_pairs:-1] != 0.0, axis=1)
        is_seen[:-1] |= beside
        is_seen[1:] |= beside
        seen = np.flatnonzero(is_seen)
        if not len(seen):
            msg = f"beam {name}: the raster from {raster.y_edges_mm[0]} mm sees no leaf"
            raise InputError(msg)
        rows = slice(int(seen[0]), int(seen[-1]) + 1)
        strips = slice(n_pairs + rows.start, n_pairs + rows.stop - 1)
        return cls(
            raster=raster,
            rows=rows,
            n_pairs=n_pairs,
            half_gap_mm=0.5 * machine.mlc.dosimetric_leaf_gap_mm,
            jaw_x_mm=jaws_x[0],
            jaw_transmission=machine.jaw_transmission,
            weights=np.concatenate([weights[rows], weights[strips], weights[-1:]]),
        )

    def exposure(self, tips_mm: Floats, stretch_mu: Floats) -> Floats:
        """Return the exposure of a beam whose tips are where they are told to be.

        Parameters
        ----------
        tips_mm : ndarray of shape (P, 2, N)
            Tips at the control points, bank X1 and X2, ``X1 <= X2``.
        stretch_mu : ndarray of shape (P - 1,)
            Meterset between control points.

        Returns
        -------
        ndarray of shape (n_y, n_x)
            MU times open share, as :func:`rerad.dosecalc.aperture_exposure`.
        """
        is_on, motion = self._motion(tips_mm, stretch_mu)
        jaws = np.broadcast_to(self.jaw_x_mm, (len(motion), 2, 2))
        seen = np.empty((len(self.weights), self.raster.n_x))
        leaf_exposure(
            motion,
            np.ascontiguousarray(jaws),
            stretch_mu[is_on],
            self.jaw_transmission,
            self.raster.x_edges_mm,
            0.0,
            seen,
        )
        return np.asarray(self.weights.T @ seen)

    def pull_back(
        self, tips_mm: Floats, stretch_mu: Floats, by_exposure: Floats
    ) -> tuple[Floats, Floats]:
        """Return the derivative of an objective by tips and metersets.

        Parameters
        ----------
        tips_mm, stretch_mu : ndarray
            As for :meth:`exposure`.
        by_exposure : ndarray of shape (n_y, n_x)
            Derivative of the objective by the exposure of each cell.

        Returns
        -------
        by_tip : ndarray of shape (P, 2, N)
            Per mm. Where an edge that stands still lies on a border between cells the exposure
            has a kink, and this is the mean of both sides.
        by_stretch : ndarray of shape (P - 1,)
            Per MU; 0 for stretches without meterset.
        """
        is_on, motion = self._motion(tips_mm, stretch_mu)
        by_seen = self.weights @ by_exposure
        edges, cells, passed = self._pieces()
        slope = by_seen[:-1, cells] * passed / self.raster.cell_mm
        n_rows = self.rows.stop - self.rows.start
        by_line = np.zeros((2 * n_rows - 1, len(motion), 2, 2, 2))
        by_share = np.zeros((2 * n_rows - 1, len(motion)))
        pull_exposure(motion, stretch_mu[is_on], edges, slope, by_line, by_share)
        lower = by_line[:n_rows, :, 0]
        lower[:-1] += by_line[n_rows:, :, 0]
        lower[1:] += by_line[n_rows:, :, 1]
        by_edge = lower.transpose(3, 1, 2, 0)
        stretches = np.flatnonzero(is_on)
        by_tip = np.zeros_like(tips_mm)
        by_tip[stretches, :, self.rows] += by_edge[0]
        by_tip[stretches + 1, :, self.rows] += by_edge[1]
        by_stretch = np.zeros(len(stretch_mu))
        without_leaves = float(by_seen[-1, cells] @ (passed * np.diff(edges)))
        by_stretch[is_on] = by_share.sum(axis=0) + without_leaves / self.raster.cell_mm
        return by_tip, by_stretch

    def _motion(self, tips_mm: Floats, stretch_mu: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Return which stretches give dose, and their edges (S, 2, 2, R) at start and end."""
        if tips_mm.shape[1:] != (2, self.n_pairs) or len(stretch_mu) != len(tips_mm) - 1:
            msg = (
                f"expected tips of shape (P, 2, {self.n_pairs}) and P - 1 metersets, got "
                f"{tips_mm.shape} and {len(stretch_mu)}"
            )
            raise InputError(msg)
        is_on = stretch_mu > 0.0
        edges = tips_mm[:, :, self.rows] + self.half_gap_mm * np.array([-1.0, 1.0])[:, None]
        return is_on, np.stack([edges[:-1][is_on], edges[1:][is_on]], axis=1)

    def _pieces(self) -> tuple[Floats, NDArray[np.int64], Floats]:
        """Return edges of cells and jaws, the cell of each piece, and what jaws let through."""
        cells_mm = self.raster.x_edges_mm
        inside = self.jaw_x_mm[(self.jaw_x_mm > cells_mm[0]) & (self.jaw_x_mm < cells_mm[-1])]
        edges = np.unique(np.concatenate([cells_mm, inside]))
        middle = 0.5 * (edges[:-1] + edges[1:])
        cells = np.searchsorted(cells_mm, middle) - 1
        is_open = (middle > self.jaw_x_mm[0]) & (middle < self.jaw_x_mm[1])
        return edges, cells, np.where(is_open, 1.0, self.jaw_transmission)


def _weights(machine: Machine, jaw_y_mm: Floats, raster: Raster) -> Floats:
    """Return what each line of `leaf_exposure` adds to each row of cells, shape (2 N, n_y)."""
    edges_mm = row_edges_mm(machine)
    below_edges = share_below(edges_mm, raster, 0.0)
    below_jaws = share_below(jaw_y_mm, raster, 0.0)
    side = np.searchsorted(jaw_y_mm, edges_mm)[:, None]
    between = np.where(side == 1, below_edges, below_jaws[side[:, 0] // 2])
    return row_weights(machine, between, below_edges, below_jaws)
