"""What the nerves' section says was measured, and was not; its pictures are drawn."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Modality, StructureSet
from rerad.nerves import (
    NerveMeasurement,
    ReferenceUptake,
    Resolution,
    compare_sides,
    measure_caliber,
    measure_uptake,
    path_from_points,
)
from rerad.phantoms.tubes import TubeScan, TubeShape, scan_tube, tube_grid
from rerad.reporting.content_nerves import nerve_section
from rerad.reporting.document import Bullets, Picture, Table
from rerad.reporting.figures import figure_makers
from rerad.reporting.figures_nerve import NervePictures, nerve_makers
from rerad.reporting.figures_nerve_table import answer
from rerad.reporting.wording import Citations

FRAME = "1.2.3"
GRID = tube_grid((1.0, 1.0, 2.0), (48, 44, 40), FRAME)
PET = tube_grid((4.0, 4.0, 4.0), (48, 48, 40), FRAME)
BLOOD = (ReferenceUptake("blood pool", 1.6, 0.1, 200),)


def scanned(diameter_mm):
    shape = TubeShape(diameter_mm)
    ct = scan_tube(shape, TubeScan(GRID, (1, 1, 1), -100, 134, 8.0), Modality.CT)
    return shape, ct, scan_tube(shape, TubeScan(PET, (6,) * 3, 0.7, 4.9, 0.05), Modality.PET)


def measured(name, diameter_mm):
    shape, ct, pet = scanned(diameter_mm)
    path = path_from_points(shape.centre_line(14), name=name, frame_uid=FRAME)
    caliber = measure_caliber(ct, path, Resolution((1, 1, 1)))
    uptake = measure_uptake(pet, caliber, Resolution((6,) * 3, 0.3), otherwise=(5.3, 0.9))
    return NerveMeasurement(name, caliber, uptake)


@pytest.fixture(scope="module")
def pictures():
    """A thick avid right root; the left one in a place where nothing could be measured."""
    right, left = measured("L5_R", 9.2), measured("L5_L", 5.3)
    nothing = np.full_like(left.caliber.diameter_mm, np.nan)
    left = replace(left, uptake=None, caliber=replace(left.caliber, diameter_mm=nothing))
    _, ct, pet = scanned(9.2)
    return NervePictures(
        image=ct,
        pet_suv=pet,
        mr=replace(ct, modality=Modality.MR),
        structures=StructureSet("none", ()),
        measurements={"L5_R": right, "L5_L": left},
        comparisons=(compare_sides(right, left, BLOOD), compare_sides(left, right, BLOOD)),
    )


def test_a_root_that_was_not_measured_is_said_to_be_so(pictures):
    right, left = pictures.comparisons
    assert right.is_avid
    # Above normal, but nothing to compare with: one of two rules is open.
    assert answer(right, is_uptake=False) == "not measured"
    assert answer(left, is_uptake=False) == answer(left, is_uptake=True) == "not measured"
    table = next(b for b in nerve_section(pictures, Citations()).blocks if isinstance(b, Table))
    rows = {row[0].text: [cell.text for cell in row] for row in table.rows}
    assert rows["L5 L"][1] == "–"
    assert rows["L5 L"][8:] == ["not measured", "not measured", "no"]
    assert rows["L5 R"][9] == "yes"
    assert not any("nan" in cell.text + cell.sub for row in table.rows for cell in row)
    seen = {row[0].text: row[6].sub for row in table.rows}
    assert seen["L5 L"] == ""
    assert float(seen["L5 R"].split(" × blood pool")[0]) == pytest.approx(5.6 / 1.6, rel=0.1)


def test_a_normal_root_is_not_open(pictures):
    normal = compare_sides(measured("L5_L", 5.3), pictures.measurements["L5_R"], BLOOD)
    assert answer(normal, is_uptake=False) == "no"


def test_rules_of_a_flagged_root_stand_with_interval_and_source(pictures):
    flagged = compare_sides(pictures.measurements["L5_R"], measured("L5_L", 5.3), BLOOD)
    assert flagged.is_flagged
    citations = Citations()
    shown = replace(pictures, comparisons=(flagged,))
    bullets = [b for b in nerve_section(shown, citations).blocks if isinstance(b, Bullets)]
    text = " ".join(bullets[0].items)
    assert text.count("not validated") == len(flagged.outcomes) == 3
    assert "95 % interval" in text
    assert {r.citation for r in citations.references()} == {o.citation for o in flagged.outcomes}


def test_every_picture_named_is_drawn_and_no_other(pictures, case_result):
    named = {b.key for b in nerve_section(pictures, Citations()).blocks if isinstance(b, Picture)}
    makers = figure_makers(case_result, pictures)
    assert named == {key for key in makers if key.startswith("nerve_")}
    assert "nerve_straight_L5" in named
    assert makers["nerve_fusion"]().axes


def test_images_that_are_unknown_where_they_are_cut_leave_the_pictures_whole(
    pictures, case_result
):
    """A registered PET or MR may not reach the plane: black there, a finite scale."""
    ct = pictures.image
    blank = replace(pictures.pet_suv, values=np.full(pictures.pet_suv.grid.shape, np.nan))
    mr = replace(ct, modality=Modality.MR, values=np.full(ct.grid.shape, np.nan))
    unknown = replace(pictures, pet_suv=blank, mr=mr)
    for name in ("mri", "fusion"):
        nerve_makers(unknown)[name]().canvas.draw()
    grid = case_result.planning_image.grid
    nothing = np.full(grid.shape, np.nan, dtype=np.float32)
    pet = replace(blank, values=nothing, grid=grid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = replace(case_result, pet_suv=pet, mr=replace(mr, values=nothing, grid=grid))
        figure_makers(shown)["fusion"]().canvas.draw()


def test_without_nerves_there_is_no_section(pictures):
    assert nerve_section(None, Citations()) is None
    assert nerve_section(replace(pictures, comparisons=()), Citations()) is None
