"""Grid: the only place where indices become points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerad.core import Grid
from rerad.errors import FrameMismatchError, GridMismatchError, InputError


def grid(**changes: object) -> Grid:
    values = {
        "shape": (4, 5, 6),
        "origin_mm": (-10.0, 20.0, 3.0),
        "spacing_mm": (1.0, 2.0, 3.0),
        "frame_uid": "1.2.3",
    }
    return Grid(**{**values, **changes})  # type: ignore[arg-type]


def test_index_order_is_slice_row_column() -> None:
    assert grid().points((1, 2, 3)).tolist() == [-7.0, 24.0, 6.0]


@given(
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-50, 50)] * 3),
)
def test_points_and_indices_invert_each_other(origin, spacing, kji) -> None:
    g = grid(origin_mm=origin, spacing_mm=spacing)
    np.testing.assert_allclose(g.indices(g.points(kji)), kji, atol=1e-9)


def test_affine_agrees_with_points() -> None:
    g = grid()
    k, j, i = 2, 1, 4
    np.testing.assert_allclose((g.affine @ (i, j, k, 1))[:3], g.points((k, j, i)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shape": (0, 1, 1)}, "grid shape"),
        ({"spacing_mm": (1.0, -1.0, 1.0)}, "spacings above 0"),
        ({"origin_mm": (np.nan, 0.0, 0.0)}, "finite"),
        ({"frame_uid": ""}, "frame of reference"),
    ],
)
def test_bad_geometry_is_refused(changes, text) -> None:
    with pytest.raises(InputError, match=text):
        grid(**changes)


def test_crop_and_region_are_inverse() -> None:
    g = grid()
    part = g.crop((1, 2, 3), (3, 5, 6))
    assert g.region_of(part) == (slice(1, 3), slice(2, 5), slice(3, 6))
    assert part.points((0, 0, 0)).tolist() == g.points((1, 2, 3)).tolist()


def test_region_of_a_shifted_or_foreign_grid_is_refused() -> None:
    g = grid()
    shifted = Grid((1, 1, 1), (-9.5, 20.0, 3.0), g.spacing_mm, g.frame_uid)
    with pytest.raises(GridMismatchError, match="resample"):
        g.region_of(shifted)
    with pytest.raises(FrameMismatchError, match="register"):
        g.region_of(grid(frame_uid="9.9"))


def test_crop_outside_is_refused() -> None:
    with pytest.raises(InputError, match="box within"):
        grid().crop((0, 0, 0), (5, 5, 6))


def test_with_spacing_keeps_the_box() -> None:
    g = grid(shape=(30, 40, 50))
    other = g.with_spacing((3.0, 3.0, 3.0))
    for axis in range(3):
        low, high = g.origin_mm[axis] - g.spacing_mm[axis] / 2, g.end_mm[axis]
        high += g.spacing_mm[axis] / 2
        assert abs(other.origin_mm[axis] - 1.5 - low) <= 1.5
        assert abs(other.end_mm[axis] + 1.5 - high) <= 1.5


def test_same_voxels_forgives_decimal_strings_only() -> None:
    g = grid()
    near = grid(origin_mm=(-10.004, 20.0, 3.0))
    far = grid(origin_mm=(-10.2, 20.0, 3.0))
    assert g.has_same_voxels(near)
    assert not g.has_same_voxels(far)
    with pytest.raises(GridMismatchError, match="resample"):
        g.require_same_voxels(far, "test")
