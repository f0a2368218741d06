"""Volumes along nerves and around vessels, margins, smoothing, recipes, holes through DICOM."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from rerad import dicom
from rerad.case.demo import TODAY_DRAWN
from rerad.core import (
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    NervePath,
    PathSource,
    Patient,
    StructureKind,
    StructureSet,
)
from rerad.errors import FrameMismatchError, InputError, MissingDataError, StructureNotFoundError
from rerad.structures import Margin6, contours_from_mask, rasterize
from rerad.targets import (
    NerveMargin,
    follow_recipe,
    make_prv,
    make_ptv,
    nerve_ctv,
    nodal_ctv,
    parse_recipe,
    smooth_keeping_volume,
    tube_mask,
)

FRAME = "1.2.3"
GRID = Grid((61, 61, 61), (-30.0, -30.0, -30.0), (1.0, 1.0, 1.0), FRAME)
Z, Y, X = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
LINE = np.stack([np.zeros(51), np.zeros(51), np.arange(25.0, -26.0, -1.0)], axis=1)
PATH = NervePath("L5_R", LINE, FRAME, PathSource.POINTS)


def mask(name, inside, kind=StructureKind.OAR):
    return Mask(name, kind, np.asarray(inside, dtype=np.float32), GRID)


GTV = mask("GTV", (np.hypot(X, Y) <= 4.2) & (np.abs(Z) <= 5), StructureKind.GTV)
BONE = mask("Bone", X >= 6)


def test_a_tube_has_the_volume_of_a_cylinder_and_flat_ends():
    tube = tube_mask(PATH, GRID, 6.0, span_mm=(10.0, 40.0), name="tube")
    assert tube.volume_cc == pytest.approx(np.pi * 36 * 30 / 1000, rel=0.01)
    k = np.nonzero(tube.on(GRID) > 0.45)[0]
    z = GRID.axes_mm[2][[k.min(), k.max()]]
    np.testing.assert_allclose(z, [-15, 15], atol=0.5)


def test_the_volume_reaches_along_the_nerve_and_around_it_as_stated():
    extent = NerveMargin(12.0, 8.0, 5.0, 2.6)
    ctv = nerve_ctv(GTV, [PATH], GRID, extent, name="CTV")
    inside = ctv.on(GRID) >= 0.5
    on_axis = GRID.axes_mm[2][inside[:, 30, 30]]
    # The gross tumour ends at 5.5 mm; towards the spine is up.
    assert on_axis.max() == pytest.approx(5 + 12, abs=1.0)
    assert on_axis.min() == pytest.approx(-5 - 8, abs=1.0)
    far = np.hypot(X, Y)[inside & (np.abs(Z) > 11)]
    assert far.max() == pytest.approx(2.6 + 5.0, abs=0.75)
    near = np.hypot(X, Y)[inside & (np.abs(Z) < 3)]
    assert near.max() == pytest.approx(4.2 + 5.0, abs=0.75)
    assert ctv.kind is StructureKind.CTV


def test_bone_is_cut_away_and_the_gross_tumour_is_not():
    extent = NerveMargin(10.0, 10.0, 8.0, 2.6)
    wide = mask("GTV", (np.hypot(X - 4, Y) <= 4) & (np.abs(Z) <= 4), StructureKind.GTV)
    ctv = nerve_ctv(wide, [PATH], GRID, extent, cut_at=[BONE], name="CTV").on(GRID)
    inside_bone = (ctv > 0) & (X >= 6)
    assert np.array_equal(inside_bone, wide.fraction.astype(bool) & (X >= 6))


def test_nodal_volume_keeps_the_vessel_and_leaves_bone():
    vessel = mask("A_Iliac_Int_R", (np.hypot(X - 4, Y) <= 3) & (np.abs(Z) <= 20))
    ctv = nodal_ctv([vessel], GRID, 7.0, cut_at=[BONE], name="CTVn").on(GRID) >= 0.5
    assert ctv[vessel.fraction > 0].all()
    assert not ctv[(X >= 6) & (vessel.fraction == 0)].any()
    middle = ctv[30]
    assert X[30][middle].min() == pytest.approx(4 - 3 - 7, abs=0.6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (2.5, 2.5, 2.5)])
def test_margins_are_exact_to_half_a_voxel(spacing):
    n = [round(60 / s) for s in spacing]
    grid = Grid(tuple(n[::-1]), tuple(-0.5 * (m - 1) * s for m, s in zip(n, spacing, strict=True)),
                spacing, FRAME)  # fmt: skip
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    cube = (np.abs(x) <= 9) & (np.abs(y) <= 9) & (np.abs(z) <= 9)
    block = Mask("B", StructureKind.CTV, cube.astype(np.float32), grid)
    ptv = make_ptv(block, grid, Margin6(3, 7, 4, 6, 5, 8), name="PTV").on(grid)
    core = block.fraction > 0.5
    reach = {0: (3, 7), 1: (4, 6), 2: (5, 8)}
    middle = [m // 2 for m in n]
    for axis, (plus, minus) in reach.items():
        line = [middle[2], middle[1], middle[0]]
        line[2 - axis] = slice(None)
        before, after = core[tuple(line)].sum(), ptv[tuple(line)].sum()
        step = spacing[axis]
        assert (after - before) * step == pytest.approx(plus + minus, abs=step + 1e-6)
        first = np.flatnonzero(core[tuple(line)])
        low = ptv[tuple(line)][: first[0]].sum() * step
        assert low == pytest.approx(minus, abs=0.5 * step + 1e-6)


def test_planning_volumes_have_the_names_of_the_task_group():
    prv = make_prv(mask("SacralPlex_R", np.hypot(X, Y) <= 3), GRID, 5.0)
    assert (prv.name, prv.kind) == ("SacralPlex_R_PRV05", StructureKind.PRV)
    with pytest.raises(InputError, match="0 mm or more"):
        make_ptv(GTV, GRID, -2.0, name="PTV")


def test_smoothing_keeps_the_volume_and_takes_the_corners():
    rng = np.random.default_rng(2)
    rough = (np.sqrt(X**2 + Y**2 + Z**2) + rng.normal(0, 1.5, X.shape)) <= 15
    volume = mask("CTV", rough, StructureKind.CTV)
    smooth = smooth_keeping_volume(volume, GRID, 2.0)
    assert smooth.volume_cc == pytest.approx(volume.volume_cc, abs=1e-6)
    edges = [
        np.abs(np.diff(m.on(GRID) > 0.5, axis=a)).sum() for m in (volume, smooth) for a in (0,)
    ]
    assert edges[1] < 0.7 * edges[0]


RECIPE = """
label = "Nerve targets"
[[step]]
name = "GTVn_4000"
kind = "GTV"
operation = "union"
of = ["GTV"]
accepted_by = "Dr A. Reader"
[[step]]
name = "CTV_3600"
kind = "CTV"
operation = "along_nerve"
of = ["GTVn_4000"]
along = ["L5_R"]
towards_spine_mm = 10
outward_mm = 15
radial_mm = 5
nerve_radius_mm = 2.6
cut_at = ["Bone"]
[[step]]
name = "PTV_3600"
kind = "PTV"
operation = "margin"
of = ["CTV_3600"]
margin_mm = 5
[[step]]
name = "Ring"
kind = "CONTROL"
operation = "difference"
of = ["PTV_3600", "CTV_3600"]
keep = false
"""


def follow(text):
    recipe = parse_recipe(tomllib.loads(text))
    return follow_recipe(recipe, {"GTV": GTV, "Bone": BONE}, GRID, {"L5_R": PATH})


def test_a_recipe_is_followed_and_kept():
    made = follow(RECIPE)
    assert list(made.masks) == ["GTVn_4000", "CTV_3600", "PTV_3600"]
    assert made.masks["CTV_3600"].kind is StructureKind.CTV
    volumes = [record.volume_cc for record in made.records]
    assert volumes[0] < volumes[1] < volumes[2]
    assert volumes[3] == pytest.approx(volumes[2] - volumes[1], rel=0.05)
    assert made.records[2].volumes_before_cc == (pytest.approx(volumes[1]),)
    assert made.records[0].step.accepted_by == "Dr A. Reader"


@pytest.mark.parametrize(
    ("old", "new", "error", "named"),
    [
        ('accepted_by = "Dr A. Reader"\n', "", MissingDataError, "who accepts it"),
        ("radial_mm = 5\n", "", MissingDataError, "needs radial_mm"),
        ("margin_mm = 5\n", "", MissingDataError, "needs left_mm"),
        ('along = ["L5_R"]', 'along = ["S1_R"]', StructureNotFoundError, "follows S1_R"),
        ('cut_at = ["Bone"]', 'cut_at = ["Bones"]', StructureNotFoundError, "names Bones"),
        ('"margin"', '"inflate"', InputError, "expected an operation"),
        ("margin_mm = 5", "margin_cm = 5", InputError, "does not know margin_cm"),
        ('name = "Ring"', 'name = "PTV_3600"', InputError, "more than once"),
        (
            'of = ["PTV_3600", "CTV_3600"]',
            'of = ["GTV", "CTV_3600"]',
            InputError,
            "nothing is left",
        ),
    ],
)
def test_what_a_recipe_leaves_unsaid_is_refused(old, new, error, named):
    assert old in RECIPE
    with pytest.raises(error, match=named):
        follow(RECIPE.replace(old, new))


def test_the_example_recipe_fits_the_demo_patient():
    text = Path(__file__).resolve().parents[3] / "examples" / "nerve_targets.toml"
    table = tomllib.loads(text.read_text(encoding="utf-8"))
    nerves = table.pop("nerves")
    recipe = parse_recipe(table)
    made = {step.name for step in recipe.steps}
    used = {name for step in recipe.steps for name in (*step.of, *step.cut_at)} - made
    used |= {*nerves["roots"].values(), *nerves["references"]["blood pool"]}
    assert used <= set(TODAY_DRAWN)
    assert {name for step in recipe.steps for name in step.along} <= set(nerves["roots"])


def test_a_path_of_another_frame_is_refused():
    other = NervePath("x", LINE, "9", PathSource.POINTS)
    with pytest.raises(FrameMismatchError, match="register"):
        tube_mask(other, GRID, 3.0, span_mm=(0, 20), name="t")


def test_holes_and_islands_survive_dicom(tmp_path):
    """A ring around an island, in every slice, written and read again: the same voxels."""
    ring = (np.hypot(X, Y) <= 20) & (np.hypot(X, Y) >= 12) | (np.hypot(X, Y) <= 5)
    ring &= np.abs(Z) <= 10
    uids = dicom.UidFactory("holes")
    header = dicom.StudyHeader(uids.new("study"), uids=uids)
    patient = Patient("HOLES-1")
    ct = Image(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, ImageUnit.HU)
    image = dicom.write_image(ct, patient, tmp_path / "ct", study=header)
    drawn = contours_from_mask(ring, GRID, name="CTV_3600", kind=StructureKind.CTV)
    dicom.write_structure_set(
        StructureSet("t", (drawn,)), image, patient, tmp_path / "rs.dcm", study=header
    )
    read = dicom.read_structure_set(tmp_path / "rs.dcm", image)["CTV_3600"]
    assert len(read.contours) == 3 * int((np.abs(GRID.axes_mm[2]) <= 10).sum())
    assert np.array_equal(rasterize(read, GRID).on(GRID) >= 0.5, ring)
    assert read.kind is StructureKind.CTV


PRV = """
label = "Risk volumes"
[[step]]
name = "{name}"
kind = "PRV"
operation = "margin"
of = ["Bone"]
margin_mm = {size}
"""


def test_a_risk_volume_is_a_step_of_a_recipe():
    made = follow(PRV.format(name="Bone_PRV03", size=3))
    prv = made.masks["Bone_PRV03"]
    assert prv.kind is StructureKind.PRV
    inside = prv.on(GRID) >= 0.5
    # The bone begins at x = 5.5 (half a voxel before its first centre).
    assert float(X[inside].min()) == pytest.approx(3.0, abs=0.5)
    with pytest.raises(InputError, match="0 mm or more around a planning volume"):
        follow(PRV.format(name="Bone_PRV03", size=-3))
