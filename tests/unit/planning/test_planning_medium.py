"""From a CT to the medium: the body, what is stated, the couch, and what is said of each."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Contour,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.dosecalc.projection import radiological_depth_exact
from rerad.errors import InputError, StructureNotFoundError
from rerad.imaging import (
    CouchPanel,
    CouchSource,
    CouchStructure,
    DensityOverride,
    HounsfieldCurve,
    load_couch_layers,
    load_hounsfield_curve,
)
from rerad.planning.medium import MediumSettings, make_medium
from rerad.planning.pipeline import dose_grid_for, external_of
from rerad.structures import rasterize

CT = Grid((6, 60, 60), (-88.5, -88.5, -7.5), (3.0, 3.0, 3.0), "1.2.3")
DOSE = CT.crop((0, 15, 15), (6, 45, 45))
CURVE = load_hounsfield_curve("water_linear")


def box(name, kind, x, y, z=(-9.0, 9.0)):
    square = np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]], dtype=float)
    contours = tuple(Contour(float(h), square) for h in CT.axes_mm[2] if z[0] < h < z[1])
    return Structure(name, kind, CT.frame_uid, contours, 3.0)


STRUCTURES = StructureSet(
    "today",
    (
        box("Body", StructureKind.EXTERNAL, (-30, 30), (-30, 30)),
        box("Metal", StructureKind.CONTROL, (-6, 6), (-6, 6)),
        box("Bolus", StructureKind.OTHER, (-15, 15), (-39, -30)),
        box("CouchSurface", StructureKind.SUPPORT, (-60, 60), (36, 75)),
        box("CouchInterior", StructureKind.SUPPORT, (-57, 57), (39, 72)),
        Structure("Named", StructureKind.OTHER, CT.frame_uid, (), 3.0),
    ),
)
BODY = rasterize(STRUCTURES["Body"], DOSE)


def ct(**painted):
    """Water in the body, metal in it, a couch of -600 HU behind, a tube in front."""
    _, y, x = np.meshgrid(*CT.axes_mm[::-1], indexing="ij")
    values = np.full(CT.shape, -1000, dtype=np.int16)
    values[(np.abs(x) < 30) & (np.abs(y) < 30)] = 0
    values[(np.abs(x) < 60) & (y > 36) & (y < 75)] = -600
    values[(np.abs(x) < 6) & (y < -60)] = 100
    values[(np.abs(x) < 6) & (np.abs(y) < 6)] = painted.get("metal", 0)
    return Image(values, CT, Modality.CT, ImageUnit.HU)


def make(image=None, **changes):
    settings = MediumSettings(curve=changes.pop("curve", CURVE), **changes)
    return make_medium(image or ct(), STRUCTURES, BODY, DOSE, settings)


def codes(medium):
    return [item.code for item in medium.findings]


def column(medium):
    """Water-equivalent thickness in mm along y at x = 0, behind the body."""
    grid = medium.density.grid
    behind = grid.axes_mm[1] > 30
    i = int(np.argmin(np.abs(grid.axes_mm[0])))
    return float(medium.density.values[3, behind, i].sum(dtype=np.float64)) * grid.spacing_mm[1]


def test_without_a_couch_only_the_body_is_there_and_it_is_said():
    medium = make()
    assert medium.density.grid.has_same_voxels(DOSE)
    np.testing.assert_array_equal(medium.density.values, BODY.on(DOSE) > 0)
    assert codes(medium) == ["couch-not-modelled"]
    assert "CouchSurface" in medium.findings[0].text


def test_the_imaged_couch_is_kept_behind_the_body_only():
    medium = make(couch=CouchSource.AS_IMAGED)
    assert medium.density.grid.end_mm[1] == CT.end_mm[1]
    assert column(medium) == pytest.approx(39 * 0.4, rel=1e-5)
    in_front = medium.density.grid.axes_mm[1] < -36
    assert not medium.density.values[:, in_front].any()
    # The patient's own density, on the dose grid, knows nothing of it.
    np.testing.assert_array_equal(medium.patient.values, BODY.on(DOSE) > 0)
    assert medium.patient.grid.has_same_voxels(DOSE)
    assert codes(medium) == ["couch-as-imaged"]


def test_a_drawn_couch_has_the_densities_stated():
    parts = (CouchStructure("CouchSurface", 0.5), CouchStructure("CouchInterior", 0.05))
    medium = make(couch=CouchSource.STRUCTURES, couch_structures=parts)
    assert column(medium) == pytest.approx(6 * 0.5 + 33 * 0.05, rel=1e-5)
    assert codes(medium) == ["couch-as-drawn"]
    assert "CouchInterior 0.05 g/cm3" in medium.findings[0].text


def test_a_panel_enlarges_the_grid_and_the_dose_grid_stays_a_crop():
    panel = CouchPanel("table", ((2.0, 1.4), (46.0, 0.056), (2.0, 1.4)), 300.0, 31.0, 0.0, "test")
    medium = make(couch=CouchSource.PANEL, couch_panel=panel)
    assert column(medium) == pytest.approx(panel.water_mm, rel=1e-5)
    x_mm, y_mm, _ = medium.density.grid.axes_mm
    assert x_mm[0] <= -148.5
    assert y_mm[-1] >= 79.5
    assert medium.density.grid.region_of(DOSE)[0] == slice(0, 6)
    assert codes(medium) == ["couch-panel"]
    assert "8.2 mm of water" in medium.findings[0].text
    sunk = replace(panel, top_y_mm=15.0)
    medium = make(couch=CouchSource.PANEL, couch_panel=sunk)
    assert codes(medium) == ["couch-panel", "couch-inside-body"]


@pytest.mark.parametrize(("gantry_deg", "crossed"), [(0.0, 0.0), (180.0, 1.0), (120.0, 2.0)])
def test_a_ray_through_the_couch_crosses_its_water(gantry_deg, crossed):
    layers, width_mm, source = load_couch_layers("generic_carbon_sandwich")
    panel = CouchPanel("table", layers, width_mm, 31.0, 0.0, source)
    with_couch = make(couch=CouchSource.PANEL, couch_panel=panel).density
    angle = np.radians(gantry_deg)
    start = np.array([1000 * np.sin(angle), -1000 * np.cos(angle), 0.0])
    depths = [
        float(radiological_depth_exact(density, np.zeros((1, 3)), start)[0])
        for density in (make().density, with_couch)
    ]
    added = depths[1] - depths[0]
    assert added == pytest.approx(crossed * panel.water_mm, rel=1e-5, abs=1e-6)


def test_an_override_reaches_outside_the_body_too():
    stated = (
        DensityOverride("Bolus", 1.0, "5 mm gel"),
        DensityOverride("Metal", 4.54, "titanium"),
    )
    medium = make(overrides=stated)
    grid = medium.density.grid
    i, j = (int(np.argmin(np.abs(grid.axes_mm[n] - v))) for n, v in ((0, 0.0), (1, -34.0)))
    assert medium.density.values[2, j, i] == pytest.approx(1.0)
    assert medium.density.values.max() == pytest.approx(3.759, abs=0.001)
    assert codes(medium) == ["density-overridden", "density-overridden", "couch-not-modelled"]


def test_metal_beyond_the_curve_is_counted_unless_it_is_stated():
    short = HounsfieldCurve(
        "mine", np.array([-1000.0, 0.0, 2000.0]), np.array([0.0, 1.0, 2.2]), "test"
    )
    image = ct(metal=9000)
    medium = make(image, curve=short)
    assert codes(medium) == ["hu-beyond-curve", "couch-not-modelled"]
    # 4 x 4 voxels on 6 slices.
    assert f"{96 * 0.027:.2f} cm3" in medium.findings[0].text
    assert "9000 HU" in medium.findings[0].text
    last = float(short.engine_density(np.array([2000.0]))[0])
    assert medium.density.values.max() == pytest.approx(last, rel=1e-6)
    stated = (DensityOverride("Metal", 8.0, "steel"),)
    assert codes(make(image, curve=short, overrides=stated)) == [
        "density-overridden",
        "couch-not-modelled",
    ]


def test_what_is_not_there_is_named():
    with pytest.raises(StructureNotFoundError, match="'Stent' is not in 'today'"):
        make(overrides=(DensityOverride("Stent", 1.0, "a"),))
    with pytest.raises(InputError, match="'Named' is named for a density but nothing is drawn"):
        make(overrides=(DensityOverride("Named", 1.0, "a"),))
    with pytest.raises(InputError, match="at least one couch structure"):
        MediumSettings(CURVE, couch=CouchSource.STRUCTURES)
    with pytest.raises(InputError, match="expected a couch panel"):
        MediumSettings(CURVE, couch=CouchSource.PANEL)


def test_the_outer_half_of_the_last_slice_is_no_air(make_inputs):
    """A dose grid of 2 mm over slices of 3 mm has centres beyond the last slice's centre."""
    inputs = make_inputs()
    body = external_of(inputs.structures)
    grid = dose_grid_for(inputs.image, body, 2.0)
    mask = rasterize(body, grid)
    medium = make_medium(inputs.image, inputs.structures, mask, grid, inputs.medium)
    assert grid.axes_mm[2][-1] > inputs.image.grid.axes_mm[2][-1]
    middle = medium.density.values[:, grid.shape[1] // 2, grid.shape[2] // 2]
    assert middle[-1] == pytest.approx(middle[len(middle) // 2], rel=1e-6)
