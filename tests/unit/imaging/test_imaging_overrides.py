"""Density overrides and couches: what is painted where, and how much water it stands for."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Grid, Image, ImageUnit, Mask, Modality, PatientPosition, StructureKind
from rerad.errors import GridMismatchError, InputError, MissingDataError
from rerad.imaging import (
    CouchPanel,
    CouchStructure,
    DensityOverride,
    DensityQuantity,
    apply_overrides,
    behind_body,
    enlarged,
    keep_imaged_couch,
    load_couch_layers,
    paint_panel,
    paint_structures,
)

GRID = Grid((2, 30, 20), (-28.5, -43.5, 0.0), (3.0, 3.0, 3.0), "1.2.3")


def density(values=None, grid=GRID, position=PatientPosition.HFS):
    values = np.zeros(grid.shape, dtype=np.float32) if values is None else values
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY, position)


def body(grid=GRID):
    """An ellipse in front of y = 15 mm."""
    _, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    return ((x / 20) ** 2 + ((y + 10) / 25) ** 2 < 1).astype(np.float32)


def panel(**changes):
    layers = ((2.0, 1.5), (40.0, 0.1), (2.0, 1.5))
    made = CouchPanel("table", layers, 45.0, 16.0, 1.0, "test")
    return replace(made, **changes)


def test_an_override_replaces_by_share_and_says_what():
    hu = Image(np.full(GRID.shape, 400, dtype=np.int16), GRID, Modality.CT, ImageUnit.HU)
    crop = GRID.crop((0, 4, 4), (1, 6, 6))
    share = np.array([[[1.0, 0.5], [1.0, 0.0]]], dtype=np.float32)
    mask = Mask("Artefact", StructureKind.CONTROL, share, crop)
    before = density(np.full(GRID.shape, 1.3, dtype=np.float32))
    after, findings = apply_overrides(
        before, hu, [(DensityOverride("Artefact", 1.0, "streaks of a hip"), mask)]
    )
    np.testing.assert_allclose(after.values[0, 4:6, 4:6], [[1.0, 1.15], [1.0, 1.3]], rtol=1e-6)
    changed = np.zeros(GRID.shape, dtype=bool)
    changed[0, 4:6, 4:6] = share[0] > 0
    np.testing.assert_array_equal(after.values != before.values, changed)
    (finding,) = findings
    assert finding.where == "Artefact"
    for part in ("0.1 cm3", "mean 400 HU", "1 g/cm3", "instead of 1.300", "streaks of a hip"):
        assert part in finding.text


def test_the_later_of_two_overrides_holds():
    hu = Image(np.zeros(GRID.shape, dtype=np.int16), GRID, Modality.CT, ImageUnit.HU)
    masks = [
        Mask(name, StructureKind.CONTROL, np.ones(GRID.shape), GRID)
        for name in ("first", "second")
    ]
    stated = [DensityOverride("first", 1.0, "a"), DensityOverride("second", 4.54, "titanium")]
    after, _ = apply_overrides(density(), hu, list(zip(stated, masks, strict=True)))
    # 22 electrons for 47.867 g/mol, over 0.55508 of water.
    np.testing.assert_allclose(after.values, 4.54 * 22 / 47.867 / 0.55508, rtol=1e-4)


def test_overrides_refuse_what_cannot_be():
    hu = Image(np.zeros(GRID.shape, dtype=np.int16), GRID, Modality.CT, ImageUnit.HU)
    empty = Mask("Gone", StructureKind.CONTROL, np.zeros(GRID.shape), GRID)
    stated = DensityOverride("Gone", 1.0, "a", DensityQuantity.ELECTRON)
    assert stated.engine_density_g_cm3 == 1.0
    with pytest.raises(InputError, match="Gone: no voxel"):
        apply_overrides(density(), hu, [(stated, empty)])
    with pytest.raises(InputError, match="expected images of density and of HU"):
        apply_overrides(hu, hu, [])
    other = replace(hu, values=hu.values[1:], grid=GRID.crop((1, 0, 0), GRID.shape))
    with pytest.raises(GridMismatchError):
        apply_overrides(density(), other, [])
    with pytest.raises(InputError, match="0 to 25 g/cm3, got 1000"):
        DensityOverride("Water", 1000.0, "kg/m3")


def test_a_panel_stands_for_its_water_on_any_grid():
    # Layers thinner than a voxel and off its faces keep thickness times density.
    for spacing in (3.0, 2.5, 1.7):
        fine = GRID.with_spacing((spacing, spacing, 3.0))
        grid = enlarged(fine, (-21.5, 16.0, -np.inf), (23.5, 60.0, np.inf))
        painted = paint_panel(density(grid=grid), panel(), np.zeros(grid.shape, np.float32))
        middle = int(np.argmin(np.abs(grid.axes_mm[0])))
        column = painted.values[0, :, middle].astype(float)
        assert column.sum() * spacing == pytest.approx(panel().water_mm, rel=1e-5)
        assert panel().water_mm == pytest.approx(10.0)
        row = painted.values[0, grid.axes_mm[1] > 30][0].astype(float)
        assert row.sum() / row.max() * spacing == pytest.approx(45.0, rel=1e-5)
        # Seen from the patient, nothing above the top.
        above = grid.axes_mm[1] + spacing / 2 < 16.0
        assert not painted.values[:, above].any()


def test_a_panel_is_below_a_prone_patient_too():
    grid = enlarged(GRID, (-21.5, -80.0, -np.inf), (23.5, -40.0, np.inf))
    prone = panel(top_y_mm=-36.0, layers=((3.0, 2.0), (30.0, 0.1)))
    painted = paint_panel(
        density(grid=grid, position=PatientPosition.HFP), prone, np.zeros(grid.shape, np.float32)
    )
    assert prone.y_range_mm(PatientPosition.HFP) == (-69.0, -36.0)
    column = painted.values[0, :, 10].astype(float)
    below = grid.axes_mm[1] < -36.0
    assert column[below].sum() == pytest.approx(column.sum())
    densest = grid.axes_mm[1][np.argmax(column)]
    assert -39.0 - 1.5 < densest < -36.0 + 1.5


def test_where_the_body_is_it_stays():
    inside = body()
    patient = density(inside.copy())
    painted = paint_panel(patient, panel(top_y_mm=0.0), inside)
    np.testing.assert_array_equal(painted.values[inside == 1], 1.0)
    parts = [
        (
            CouchStructure("CouchSurface", 0.6),
            Mask("CouchSurface", StructureKind.SUPPORT, np.ones(GRID.shape), GRID),
        ),
        (
            CouchStructure("CouchInterior", 0.05),
            Mask(
                "CouchInterior",
                StructureKind.SUPPORT,
                np.ones((2, 5, 20)),
                GRID.crop((0, 22, 0), (2, 27, 20)),
            ),
        ),
    ]
    drawn = paint_structures(patient, parts, inside)
    np.testing.assert_array_equal(drawn.values[inside == 1], 1.0)
    assert drawn.values[0, 24, 0] == np.float32(0.05)
    assert drawn.values[0, 28, 0] == np.float32(0.6)


def test_as_imaged_keeps_what_is_behind_and_nothing_else():
    inside = body()
    _, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    couch = (y > 20) & (y < 30)
    edge = (np.abs(x) > 25) & (y > 5) & (y < 20)
    tube = (np.abs(x) < 4) & (y < -38)
    noise = np.full(GRID.shape, 0.01, dtype=np.float32)
    values = np.where(inside > 0, 1.0, noise)
    values[couch] = 0.4
    values[edge] = 0.3
    values[tube] = 1.1
    imaged = density(values.astype(np.float32))
    patient = density(np.where(inside > 0, 1.0, 0.0).astype(np.float32))
    kept, volume_cc = keep_imaged_couch(patient, imaged, inside)
    np.testing.assert_array_equal(kept.values[couch], np.float32(0.4))
    np.testing.assert_array_equal(kept.values[edge], np.float32(0.3))
    assert not kept.values[tube].any()
    assert set(np.unique(kept.values)) == {np.float32(v) for v in (0, 0.3, 0.4, 1)}
    assert volume_cc == pytest.approx(np.count_nonzero(couch | edge) * 0.027)


def test_behind_is_the_other_way_round_for_a_prone_patient():
    inside = body()
    supine = behind_body(inside, PatientPosition.FFS)
    prone = behind_body(inside[:, ::-1], PatientPosition.HFP)
    np.testing.assert_array_equal(prone, supine[:, ::-1])
    assert not (supine & (inside > 0)).any()
    # Slices without body take the middle of the whole.
    inside[1] = 0
    middle = behind_body(inside, PatientPosition.HFS)[1]
    assert middle.any()
    assert not middle[:10].any()
    assert not behind_body(np.zeros_like(inside), PatientPosition.HFS).any()


def test_an_enlarged_grid_holds_the_box_and_the_old_voxels():
    grid = enlarged(GRID, (-100.0, -10.0, -np.inf), (28.5, 75.2, np.inf))
    assert grid.shape[0] == 2
    x, y, _ = grid.axes_mm
    assert x[0] - 1.5 <= -100.0 < x[0] + 1.5
    assert y[-1] - 1.5 < 75.2 <= y[-1] + 1.5
    assert y[0] == GRID.origin_mm[1]
    assert x[-1] == pytest.approx(GRID.end_mm[0])
    slices = grid.region_of(GRID)
    assert [s.stop - s.start for s in slices] == list(GRID.shape)
    assert enlarged(GRID, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).has_same_voxels(GRID)


def test_couches_that_cannot_be_are_refused():
    layers, width_mm, source = load_couch_layers("generic_carbon_sandwich")
    assert CouchPanel("t", layers, width_mm, 0.0, 0.0, source).water_mm == pytest.approx(
        8.2, abs=0.1
    )
    with pytest.raises(MissingDataError, match="generic_carbon_sandwich"):
        load_couch_layers("none of these")
    with pytest.raises(InputError, match="thicker than 0"):
        panel(layers=((0.0, 1.0),))
    with pytest.raises(InputError, match="at least one layer"):
        panel(layers=())
    with pytest.raises(InputError, match="0 to 25 g/cm3"):
        CouchStructure("CouchSurface", -1.0)
