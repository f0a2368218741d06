"""Paper and point courses of a case: bounded, graded, carried like any other course."""

import numpy as np
import pytest
from pydantic import ValidationError

from rerad.case import load_case, read_case, write_case
from rerad.case.course_bands import box_mask, with_bands
from rerad.case.files import CASE_FILE_NAME
from rerad.case.history_schema import PointDoseTable, PriorCourseTable, TreatedRegionTable
from rerad.core import Grid, RecordGrade
from rerad.errors import CaseError
from rerad.planning.history import carry_priors


def quiet(_what, _share):
    """Say nothing."""


def changed(tiny_case, **update):
    """Rewrite the earlier course of the tiny case without its dose."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    blank = {"dose_uid": "", "plan_uid": "", "structure_set_uid": "", "ct_series_uid": ""}
    old = file.prior_course[0].model_dump()
    prior = PriorCourseTable(**{**old, **blank, **update})
    write_case(file.model_copy(update={"prior_course": (prior,)}), path)
    return load_case(tiny_case)


def test_point_doses_become_a_bound_in_todays_frame(tiny_case):
    point = PointDoseTable(structure="SacralPlex_R", max_gy=46.0, source="summary sheet")
    loaded = changed(tiny_case, point_doses=(point,))
    assert loaded.inputs.priors == ()
    assert loaded.inputs.courses_without_dose[0].grade is RecordGrade.DVH_OR_POINTS
    full, (band,) = with_bands(loaded, quiet)
    assert not full.inputs.courses_without_dose
    (carried,) = carry_priors(full.inputs, band.upper.grid, [2.0], quiet)
    assert carried.course.grade is RecordGrade.DVH_OR_POINTS
    values = carried.eqd2_on_planning[2.0].values
    # 46 Gy in 25: 46 (1.84 + 2) / 4.
    assert np.nanmax(values) == pytest.approx(44.16, abs=0.01)
    assert np.isnan(values).any()
    assert "course-bounded-by-points" in {f.code for f in full.inputs.findings}


def test_a_case_without_such_courses_is_left_alone(tiny_case):
    loaded = load_case(tiny_case)
    same, bands = with_bands(loaded, quiet)
    assert same is loaded
    assert bands == ()


def test_a_course_has_one_kind_of_record():
    point = {"structure": "Bladder", "max_gy": 40.0, "source": "sheet"}
    course = {"name": "c", "n_fractions_planned": 25, "n_fractions_delivered": 25}
    with pytest.raises(ValidationError, match="give one of dose_uid"):
        PriorCourseTable(**course, dose_uid="1.2", ct_series_uid="1.3", point_doses=(point,))
    region = {
        "dose_gy": 45.0,
        "gantry_angles_deg": ((0.0, 180.0),),
        "margin_mm": (10.0, 20.0),
        "place_uncertainty_mm": 10.0,
        "source": "letter",
    }
    with pytest.raises(ValidationError, match="exactly one of structure"):
        TreatedRegionTable(**region)
    with pytest.raises(ValidationError, match="six numbers"):
        TreatedRegionTable(**region, box_mm=(1.0, 2.0))
    assert TreatedRegionTable(**region, structure="PTV").structure == "PTV"


def test_a_paper_course_is_planned_again(tiny_case):
    """A box of 40 mm by opposed fields on the tiny patient, in two halves."""
    half = {
        "dose_gy": 30.0,
        "gantry_angles_deg": ((0.0, 180.0),),
        "margin_mm": (5.0, 5.0),
        "place_uncertainty_mm": 0.0,
        "source": "letter",
    }
    low = TreatedRegionTable(**half, box_mm=(-20.0, -20.0, -30.0, 20.0, 20.0, -6.0))
    high = TreatedRegionTable(**half, box_mm=(-20.0, -20.0, 6.0, 20.0, 20.0, 30.0))
    loaded = changed(tiny_case, treated_regions=(low, high))
    assert loaded.inputs.courses_without_dose[0].grade is RecordGrade.PAPER
    full, (band,) = with_bands(loaded, quiet)
    (prior,) = full.inputs.priors
    assert prior.course.grade is RecordGrade.PAPER
    assert np.all(band.best.values <= band.upper.values + 1e-4)
    for z in (-18.0, 18.0):
        k, j, i = np.rint(band.best.grid.indices((0.0, 0.0, z))).astype(int)
        assert band.best.values[k, j, i] == pytest.approx(30.0, rel=0.1)


def test_a_broken_fraction_of_the_record_is_counted(tiny_case):
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    update = {"n_fractions_delivered": 24, "partial_fractions": (0.5,)}
    prior = file.prior_course[0].model_copy(update=update)
    write_case(file.model_copy(update={"prior_course": (prior,)}), path)
    (course,) = [item.course for item in load_case(tiny_case).inputs.priors]
    assert course.partial_fractions == (0.5,)


def test_boxes_hold_the_voxels_between_their_corners(tmp_path):
    grid = Grid((10, 10, 10), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0), "1.2")
    mask = box_mask((4.0, 2.0, 6.0, 8.0, 5.0, 100.0), grid, tmp_path)
    assert mask.grid.shape == (7, 2, 3)
    assert mask.grid.origin_mm == (4.0, 2.0, 6.0)
    with pytest.raises(CaseError, match="holds no voxel"):
        box_mask((100.0, 0.0, 0.0, 110.0, 5.0, 5.0), grid, tmp_path)


def test_fractions_are_counted_from_treatment_records(tiny_case, tiny, write_record):
    for fraction, share in ((1, 1.0), (2, 1.0), (3, 0.4)):
        write_record(tiny_case / "records", fraction, tiny.prior_plan, share)
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    update = {"n_fractions_delivered": "unknown", "treatment_records": "records"}
    prior = file.prior_course[0].model_copy(update=update)
    write_case(file.model_copy(update={"prior_course": (prior,)}), path)
    inputs = load_case(tiny_case).inputs
    (course,) = [item.course for item in inputs.priors]
    assert course.n_fractions_delivered == 2
    assert course.partial_fractions == pytest.approx((0.4,))
    assert inputs.history.courses[0].n_fractions_delivered == 2
    stated = prior.model_copy(update={"n_fractions_delivered": 25})
    write_case(file.model_copy(update={"prior_course": (stated,)}), path)
    with pytest.raises(CaseError, match="count 2 whole fractions and 1 broken off"):
        load_case(tiny_case)
