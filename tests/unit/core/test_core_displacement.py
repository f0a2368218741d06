"""Displacement fields: folding, motion of the frame, refusals."""

import numpy as np
import pytest

from rerad.core import DisplacementField, Grid, RigidTransform
from rerad.errors import FrameMismatchError, GridMismatchError, InputError

GRID = Grid((6, 7, 8), (0.0, 0.0, 0.0), (2.0, 3.0, 4.0), "today")
RIGID = RigidTransform(np.eye(4), "earlier", "today")


def field(vectors):
    return DisplacementField(np.broadcast_to(vectors, (*GRID.shape, 3)).copy(), GRID, RIGID)


def test_the_jacobian_of_a_stretch_is_its_volume():
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    stretched = field(np.stack([0.1 * x, -0.2 * y, 0.5 * z], axis=-1))
    np.testing.assert_allclose(stretched.jacobian(), 1.1 * 0.8 * 1.5, rtol=1e-5)


def test_a_fold_has_a_jacobian_below_zero():
    x = GRID.axes_mm[0][None, None, :]
    folded = field(np.stack(np.broadcast_arrays(-1.5 * x, 0 * x, 0 * x), axis=-1))
    assert np.all(folded.jacobian() < 0)


def test_one_slice_does_not_stop_the_jacobian():
    flat = Grid((1, 4, 4), (0, 0, 0), (1, 1, 1), "today")
    made = DisplacementField(np.zeros((1, 4, 4, 3)), flat, RIGID)
    np.testing.assert_allclose(made.jacobian(), 1.0)


def test_motions_of_todays_frame_compose():
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 3)
    motion = RigidTransform(shift, "today", "today")
    twice = field(0.0).then(motion).then(motion)
    np.testing.assert_allclose(twice.after.matrix[:3, 3], (2, 4, 6))
    with pytest.raises(FrameMismatchError, match="motion within"):
        field(0.0).then(RigidTransform(np.eye(4), "today", "elsewhere"))


def test_bad_fields_are_refused():
    with pytest.raises(GridMismatchError, match="vectors of shape"):
        DisplacementField(np.zeros((2, 2, 2, 3)), GRID, RIGID)
    with pytest.raises(InputError, match="finite"):
        field(np.nan)
    with pytest.raises(FrameMismatchError, match="displacement field in frame"):
        DisplacementField(
            np.zeros((*GRID.shape, 3)), GRID, RigidTransform(np.eye(4), "today", "earlier")
        )
