"""TG-119 shapes: volumes against closed forms, places, and that contours lie on the slices."""

import numpy as np
import pytest

from rerad.core import Dose, Grid, StructureKind
from rerad.errors import InputError
from rerad.evaluation import dvh
from rerad.phantoms import Tg119Case, make_c_shape, make_multi_target
from rerad.structures import check_name, rasterize

FRAME = "1.2.826.3"
CUBIC_CM = 1e-3
VOLUMES_CC = {
    "Core": np.pi * 10**2 * 100 * CUBIC_CM,
    "PTV_5000": 204 / 360 * np.pi * (37**2 - 15**2) * 80 * CUBIC_CM,
    "Body": 300 * 150 * 280 * CUBIC_CM,
}


@pytest.fixture(scope="module")
def c_shape() -> Tg119Case:
    return make_c_shape(FRAME)


def fine_grid() -> Grid:
    """Voxels that fit neither slices nor radii."""
    return Grid((121, 90, 90), (-53.4, -53.1, -66.2), (1.19, 1.19, 1.1), FRAME)


def test_tg119_volumes_are_the_closed_forms(c_shape: Tg119Case) -> None:
    for name in ("Core", "PTV_5000"):
        mask = rasterize(c_shape.structures[name], fine_grid())
        assert mask.volume_cc == pytest.approx(VOLUMES_CC[name], rel=2e-3)
    image = c_shape.image.grid
    body = rasterize(c_shape.structures["Body"], image)
    assert body.volume_cc == pytest.approx(VOLUMES_CC["Body"], rel=1e-6)
    cylinder = rasterize(make_multi_target(FRAME).structures["PTV_2500"], image)
    assert cylinder.volume_cc == pytest.approx(np.pi * 20**2 * 40 * CUBIC_CM, rel=2e-3)


@pytest.mark.parametrize("slice_mm", [1.0, 2.0, 2.5, 5.0])
def test_tg119_volumes_do_not_depend_on_slices(slice_mm: float) -> None:
    case = make_c_shape(FRAME, in_plane_mm=5.0, slice_mm=slice_mm)
    heights = case.image.grid.axes_mm[2]
    for name in ("Core", "PTV_5000"):
        structure = case.structures[name]
        z_mm = np.array([contour.z_mm for contour in structure.contours])
        assert len(z_mm) * slice_mm == pytest.approx({"Core": 100, "PTV_5000": 80}[name])
        assert z_mm.mean() == pytest.approx(0, abs=1e-9)
        assert np.abs(z_mm[:, None] - heights).min(axis=1).max() < 1e-9


def test_tg119_target_wraps_round_the_core_and_opens_to_the_back(c_shape: Tg119Case) -> None:
    grid = fine_grid()
    target = rasterize(c_shape.structures["PTV_5000"], grid).on(grid)
    core = rasterize(c_shape.structures["Core"], grid).on(grid)
    assert not np.any((target > 1e-6) & (core > 1e-6))
    _, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    radius = np.hypot(x, y)
    inside = target >= 0.5
    assert radius[inside].min() > 15 - 0.9
    assert radius[inside].max() < 37 + 0.9
    from_front_deg = np.degrees(np.arctan2(np.abs(x), -y))
    assert np.quantile(from_front_deg[inside], 0.999) == pytest.approx(102, abs=1.5)
    # The ring is closed in front and at both sides: every direction up to 100 degrees is met.
    met, _ = np.histogram(from_front_deg[inside], bins=np.arange(0, 101, 5))
    assert met.min() > 0


def test_tg119_cylinders_are_stacked_head_up(c_shape: Tg119Case) -> None:
    case = make_multi_target(FRAME)
    doses = {item.structure: item.dose_gy for item in case.prescriptions}
    assert doses == {"PTV_5000": 50.0, "PTV_2500": 25.0, "PTV_1250": 12.5}
    ends = {}
    for name in doses:
        z_mm = [contour.z_mm for contour in case.structures[name].contours]
        ends[name] = (min(z_mm) - 1.25, max(z_mm) + 1.25)
    assert ends == {"PTV_5000": (-20, 20), "PTV_2500": (20, 60), "PTV_1250": (-60, -20)}


def test_tg119_image_is_water_inside_the_body_and_air_outside(c_shape: Tg119Case) -> None:
    image = c_shape.image
    body = rasterize(c_shape.structures["Body"], image.grid).on(image.grid)
    np.testing.assert_array_equal(image.values[body == 1], 0)
    np.testing.assert_array_equal(image.values[body == 0], -1000)
    odd = make_c_shape(FRAME, in_plane_mm=3.7, slice_mm=5.0).image
    water_cc = float(np.sum(odd.values / 1000.0 + 1.0)) * odd.grid.voxel_volume_cc
    assert water_cc == pytest.approx(VOLUMES_CC["Body"], rel=2e-4)


def test_tg119_names_kinds_and_histogram_volume(c_shape: Tg119Case) -> None:
    for case in (c_shape, make_multi_target(FRAME)):
        for structure in case.structures.structures:
            assert check_name(structure.name) == []
        kinds = {s.name: s.kind for s in case.structures.structures}
        assert kinds["Body"] is StructureKind.EXTERNAL
        assert all(kinds[item.structure] is StructureKind.PTV for item in case.prescriptions)
    grid = c_shape.image.grid
    flat = Dose(np.full(grid.shape, 2.0, np.float32), grid)
    read = dvh(flat, c_shape.structures["PTV_5000"])
    assert read.volume_cc == pytest.approx(VOLUMES_CC["PTV_5000"], rel=5e-3)


@pytest.mark.parametrize("slice_mm", [3.0, 4.0, 0.0, -2.5])
def test_tg119_refuses_slices_that_cut_the_lengths(slice_mm: float) -> None:
    with pytest.raises(InputError, match="divide 10 mm"):
        make_c_shape(FRAME, slice_mm=slice_mm)


def test_tg119_refuses_voxels_out_of_range() -> None:
    with pytest.raises(InputError, match=r"0\.5 to 10 mm"):
        make_multi_target(FRAME, in_plane_mm=20.0)
