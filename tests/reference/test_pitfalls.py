"""Pitfalls seen in public tools and in the literature, each with a test that rerad avoids it.

The list is the project's own survey of public re-irradiation tools and papers; each test names
what was seen there.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from rerad import dicom as dicom_room
from rerad import radiobiology
from rerad.accumulation import (
    CourseDose,
    PhaseDose,
    accumulate,
    cumulative_maxima,
    map_dose,
    sum_doses,
)
from rerad.core import (
    Contour,
    Course,
    Dose,
    DoseQuantity,
    Grid,
    Mask,
    Patient,
    Prescription,
    RecordGrade,
    RecoveryBasis,
    RigidTransform,
    Severity,
    Structure,
    StructureKind,
)
from rerad.dicom import PlanReference, StudyHeader, read_dose, write_dose
from rerad.errors import (
    DicomError,
    FrameMismatchError,
    InputError,
    MissingDataError,
    QuantityMismatchError,
)
from rerad.evaluation import dvh, evaluate_metric, parse_metric
from rerad.radiobiology import (
    SpineLevel,
    assumptions_for,
    check_basis,
    eqd2,
    hytec_factors,
    inconsistent_fraction_dose,
    limits_for,
    load_lkb_parameters,
    load_recovery_tables,
    nieder_score,
    physical_from_eqd2,
    recovery_fraction,
    recovery_scenarios,
    remaining_after,
    rule_sets,
    solve_gap,
    time_factor_for,
    to_eqd2,
)
from rerad.radiobiology.gap import Interruption

FRAME = "1.2.3"
GRID = Grid((10, 16, 20), (-28.5, -22.5, -13.5), (3.0, 3.0, 3.0), FRAME)
SAME = RigidTransform.identity(FRAME)


def flat(gy, grid=GRID):
    return Dose(np.full(grid.shape, gy, dtype=np.float32), grid)


def box(name, low, high, step=3.0):
    square = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    heights = np.arange(low[2] + step / 2, high[2], step)
    contours = tuple(Contour(float(z), square.astype(float)) for z in heights)
    return Structure(name, StructureKind.OAR, FRAME, contours, step)


# ------------------------------------------------------------------ records that are not there


def test_a_course_without_dose_is_never_zero():
    """Most outside records are paper or missing (NYU: DICOM 24 %): unknown is not none."""
    grades = set(RecordGrade)
    assert {RecordGrade.PAPER, RecordGrade.DVH_OR_POINTS, RecordGrade.UNKNOWN} <= grades
    (item, *_) = assumptions_for("SacralPlex_R", "umich", "umich", None)
    left = radiobiology.remaining_tolerance(item, math.nan, n_fractions=22)
    assert math.isnan(left.remaining_physical_gy)


def test_an_unknown_interval_gives_no_single_number():
    """The verdict of the published case flips on an interval that nobody reported."""
    with pytest.raises(MissingDataError, match="every class"):
        recovery_fraction("umich", "SacralPlex_R", None)
    assumptions = assumptions_for("SacralPlex_R", "umich", "umich", None)
    rows = remaining_after("SacralPlex_R", [(45.0, 25)], assumptions, n_fractions=22)
    left = [row.remaining_physical_gy for row in rows]
    assert min(left) < 40 < max(left)


# ------------------------------------------------------------------------- maxima and overlaps


def test_a_sum_of_maxima_is_no_voxel_maximum_and_search_stays_inside():
    """RADAR: 72.4 Gy by convention, 126.9 Gy by a search that leaves the cord, 65.2 Gy inside."""
    x = np.arange(GRID.shape[2])
    left = np.where(x < 8, 42.0, 6.0)[None, None, :] * np.ones(GRID.shape)
    right = np.where(x > 12, 27.0, 3.0)[None, None, :] * np.ones(GRID.shape)
    left[:, :, 14] = 90.0  # a target beyond the organ
    doses = [Dose(v.astype(np.float32), GRID, DoseQuantity.EQD2, 2.0) for v in (left, right)]
    crop = GRID.crop((3, 4, 4), (7, 10, 14))
    organ = Mask("SpinalCord", StructureKind.OAR, np.ones(crop.shape, np.float32), crop)
    found = cumulative_maxima(
        doses[:1], doses[1], organ, radius_mm=(6.0, 6.0, 6.0), overlap_gy=1.0
    )
    assert found.voxel_sum_gy < found.sum_of_maxima_gy
    assert found.search_within_gy <= found.sum_of_maxima_gy + 1e-4
    assert found.search_free_gy > found.sum_of_maxima_gy  # shown beside, never as the bound


# ----------------------------------------------------------------------------- outside the grid


def test_a_structure_beyond_the_dose_grid_has_an_unknown_part():
    """A public viewer gave Dmax of 1.1 times the global maximum, and 0 Gy outside the grid."""
    organ = box("Bladder", (-15, -15, -9), (45, 15, 9))
    histogram = dvh(flat(40.0), organ)
    assert histogram.unknown_fraction == pytest.approx((45 - 30) / 60, abs=0.03)
    assert histogram.max_gy == pytest.approx(40.0)
    assert histogram.mean_gy == pytest.approx(40.0)  # of the known part, not lowered by zeros
    assert math.isnan(evaluate_metric(parse_metric("D0.1cc"), histogram))


def test_voxels_outside_a_prior_grid_stay_unknown_in_every_sum():
    small = GRID.crop((2, 2, 2), (8, 14, 18))
    courses = [
        CourseDose("a", (PhaseDose(flat(30.0, small), 15, 15),), SAME),
        CourseDose("b", (PhaseDose(flat(20.0), 10, 10),), SAME),
    ]
    total = accumulate(courses, GRID, alpha_beta_gy=2.0)
    assert np.isnan(total.values[0, 0, 0])
    assert total.n_unknown == GRID.n_voxels - small.n_voxels


def test_a_structure_of_another_series_is_refused():
    """Masks landed on the wrong slices when the structure set came from another series."""
    organ = replace(box("Bladder", (-15, -15, -9), (15, 15, 9)), frame_uid="9.9.9")
    with pytest.raises(FrameMismatchError, match="registration first"):
        dvh(flat(40.0), organ)


def test_histograms_see_between_voxel_centres():
    """Masks of whole voxels miss the maximum at an edge: dose is read between the centres."""
    x = GRID.axes_mm[0]
    ramp = np.broadcast_to((x - x[0]) * 1.0, GRID.shape).astype(np.float32)
    organ = box("Cord", (-10, -4, -9), (10.4, 4, 9))
    histogram = dvh(Dose(ramp, GRID), organ)
    # The edge of the organ lies at 10.4 mm; the last voxel centre inside it at 7.5 or 10.5 mm.
    assert histogram.max_gy == pytest.approx(10.4 - x[0], abs=0.35)


# ------------------------------------------------------------------------------- sums of doses


def test_more_than_two_unequal_grids_add():
    """DVH-Analytics 35 crashed and 94 reused the first grid; dicompyler did not apply the sum."""
    fine = Grid((16, 24, 30), (-29.0, -23.0, -14.0), (2.0, 2.0, 2.0), FRAME)
    long = Grid((30, 12, 12), (-33.0, -27.0, -40.0), (6.0, 5.0, 3.0), FRAME)
    courses = [
        CourseDose("fine", (PhaseDose(flat(20.0, fine), 10, 10),), SAME),
        CourseDose("long", (PhaseDose(flat(10.0, long), 5, 5),), SAME),
        CourseDose("own", (PhaseDose(flat(30.0), 15, 15),), SAME),
    ]
    total = accumulate(courses, GRID, alpha_beta_gy=2.0)
    assert total.values[5, 8, 10] == pytest.approx(60.0, abs=1e-3)
    assert total.grid.has_same_voxels(GRID)


def test_each_plan_of_a_sum_counts_by_its_own_fractions_in_any_order():
    """The survey lists matRad 711 among sum functions; its text was not at hand.

    What such functions get wrong: one number of fractions for every plan, and a sum that depends
    on which plan comes first. Here 20 Gy in 10, 15 Gy in 3 (5 of them planned) and 8 Gy in 1.
    """
    fine = Grid((16, 24, 30), (-29.0, -23.0, -14.0), (2.0, 2.0, 2.0), FRAME)
    courses = [
        CourseDose("ten", (PhaseDose(flat(20.0), 10, 10),), SAME),
        CourseDose("three of five", (PhaseDose(flat(25.0, fine), 5, 3),), SAME),
        CourseDose("one", (PhaseDose(flat(8.0), 1, 1),), SAME),
    ]
    # D (D/n + 2) / 4: 20 (2 + 2)/4, 15 (5 + 2)/4, 8 (8 + 2)/4.
    expected = 20.0 + 26.25 + 20.0
    sums = [
        accumulate(order, GRID, alpha_beta_gy=2.0) for order in (courses, list(reversed(courses)))
    ]
    for total in sums:
        assert total.grid.has_same_voxels(GRID)
        assert total.values[5, 8, 10] == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(sums[0].values, sums[1].values, atol=1e-4)


def test_dose_at_the_whole_volume_is_the_minimum():
    """dicompyler-core 25 gave D100 = 0."""
    histogram = dvh(flat(40.0), box("Bladder", (-15, -12, -9), (15, 12, 9)))
    assert evaluate_metric(parse_metric("D100%"), histogram) == pytest.approx(40.0)


def test_dose_of_one_fraction_is_never_taken_for_the_total(tmp_path: Path):
    """PyEQD2 2: whether a dose was that of a fraction or of the plan was not clear."""
    path = tmp_path / "rd.dcm"
    write_dose(
        flat(40.0),
        Patient("P"),
        path,
        study=StudyHeader(study_uid="1.2.3.4"),
        plans=(PlanReference("1.2.3.5", FRAME),),
    )
    assert read_dose(path).max_gy == pytest.approx(40.0, abs=1e-3)
    dataset = pydicom.dcmread(path)
    for word in ("FRACTION", "BEAM", "MULTI_PLAN"):
        dataset.DoseSummationType = word
        dataset.save_as(path)
        with pytest.raises(DicomError, match="expected DoseSummationType PLAN"):
            read_dose(path)


def test_histograms_are_made_and_never_read():
    """DVH-Analytics 95 showed the stale histogram that a file brought along."""
    folder = Path(dicom_room.__file__).parent
    readers = sorted(folder.glob("*dose*.py"))
    assert readers
    assert not [path for path in readers if "DVHSequence" in path.read_text("utf-8")]


def test_physical_doses_of_courses_never_add():
    """ESTRO 2026: never sum physical dose quantitatively."""
    with pytest.raises(QuantityMismatchError, match="fractions of"):
        sum_doses([flat(45.0), flat(40.0)])


# ------------------------------------------------------------------------- order of conversion


def test_convert_then_map_not_map_then_convert():
    """Half way from 50 Gy to 0 in 25 fractions: 25.0 Gy against 18.75 Gy at alpha/beta 2."""
    step = np.zeros((2, 2, 2), dtype=np.float32)
    step[:, :, 0] = 50.0
    grid = Grid((2, 2, 2), (0, 0, 0), (2, 2, 2), FRAME)
    half = Grid((1, 1, 1), (1, 1, 1), (2, 2, 2), FRAME)
    course = CourseDose("c", (PhaseDose(Dose(step, grid), 25, 25),), SAME)
    right = accumulate([course], half, alpha_beta_gy=2.0).values[0, 0, 0]
    mapped = map_dose(Dose(step, grid), SAME, half)
    wrong = to_eqd2(mapped, n_fractions_planned=25, alpha_beta_gy=2.0).values[0, 0, 0]
    assert right == pytest.approx(25.0, abs=1e-4)
    assert wrong == pytest.approx(18.75, abs=1e-4)


def test_each_tissue_has_its_own_alpha_beta():
    """A public tool knows exactly two alpha/beta; a voxel in two structures needs two EQD2."""
    used = {limit.alpha_beta_gy for rules in rule_sets() for limit in rules.limits}
    assert {2.0, 2.5, 3.0} <= used
    two = to_eqd2(flat(40.0), n_fractions_planned=20, alpha_beta_gy=2.0)
    three = to_eqd2(flat(40.0), n_fractions_planned=10, alpha_beta_gy=3.0)
    with pytest.raises(QuantityMismatchError, match="alpha/beta"):
        sum_doses([two, three])


def test_partial_delivery_scales_fractions_and_not_their_dose():
    """Weighting the dose lowers the dose per fraction and understates what was given."""
    phase = PhaseDose(flat(40.0), 22, 15)
    course = CourseDose("c", (phase,), SAME)
    given = accumulate([course], GRID, alpha_beta_gy=2.0).values[0, 0, 0]
    scaled = eqd2(40.0 * 15 / 22, 22, 2.0)
    assert given == pytest.approx(15 / 22 * eqd2(40, 22, 2.0), abs=1e-3)
    assert given > scaled + 3


# ----------------------------------------------------------------- recovery and limits mixed up


def test_recovery_is_never_counted_twice():
    """HyTEC forbids a discount, Slevin's 12-month limit contains it, Michigan's needs it."""
    basis = {rules.name: rules.recovery_basis for rules in rule_sets()}
    assert basis["umich"] is RecoveryBasis.DISCOUNTED
    for name in ("slevin2021", "hytec2021"):
        assert basis[name] is RecoveryBasis.RAW
    late = [
        limit for limit in limits_for("SacralPlex_R", "slevin2021", 24) if limit.limit_gy == 85
    ]
    with pytest.raises(InputError, match="count recovery twice"):
        check_basis(late[0], 0.5)


def test_the_thecal_sac_limits_are_70_in_all_and_25_of_the_new_course():
    """(a) A calculator has Sahgal as a cumulative EQD2 of 25 Gy and 50 Gy."""
    (limit,) = limits_for("ThecalSac", "hytec2021", 12, level=SpineLevel.THORACIC)
    assert (limit.limit_gy, limit.alpha_beta_gy, limit.metric) == (70.0, 2.0, "Dmax")
    factors = {
        factor.name: factor.asked
        for factor in hytec_factors(
            cumulative_eqd2_gy=68,
            sbrt_eqd2_gy=24,
            interval_months=8,
            level=SpineLevel.THORACIC,
        )
    }
    assert factors["cumulative thecal sac Dmax, Gy EQD2"] == 70
    assert factors["SBRT course Dmax, Gy EQD2"] == 25


def test_no_recovery_table_is_put_down_to_nieder_2006():
    """(b) 0, 25 and 50 % are attributed to Nieder 2006, which gives none."""
    for table in load_recovery_tables():
        for row in table.organs:
            assert "2006" not in row.source.citation or "Nieder" not in row.source.citation


def test_rectum_has_m_and_n_the_right_way_round():
    """(c) Public code carries the rectum with m 0.09 and n 0.12; Michalski: m 0.13, n 0.09."""
    rectum = next(item for item in load_lkb_parameters() if "rectum" in item.organ.casefold())
    assert (rectum.td50_gy, rectum.m, rectum.n) == (76.9, 0.13, 0.09)


def test_the_kidney_never_recovers():
    """(d) A port of the Michigan table gives the kidney 50 % after three years."""
    assert {row.fraction for row in recovery_scenarios("umich", "Kidney_L")} == {0.0}


def test_lost_days_are_bed_and_not_physical_dose():
    """(e) A guide to gaps adds K times days as physical Gy."""
    factor = time_factor_for("head and neck")
    gap = solve_gap(Interruption(70, 35, 20, 7), tumor_alpha_beta_gy=10.0, factor=factor)
    extra = gap.options[-1].total_gy - 30.0
    assert gap.bed_lost_to_gap_gy == pytest.approx(6.3)
    assert extra < 5.1  # 6.3 Gy10 in 15 fractions, not 6.3 Gy


def test_every_maximum_says_which():
    """Dmax, D0.03cc, D0.1cc, D0.5cc and D2cc are different limits."""
    metrics = {
        rules.name: {limit.metric for limit in rules.limits if limit.spared_volume_cc is None}
        for rules in rule_sets()
    }
    assert metrics["hytec2021"] == {"Dmax"}
    assert metrics["slevin2021"] == {"D0.1cc", "D0.5cc"}
    x = GRID.axes_mm[0]
    ramp = np.broadcast_to((x - x[0]), GRID.shape).astype(np.float32)
    histogram = dvh(Dose(ramp, GRID), box("Cord", (-15, -6, -9), (15, 6, 9)))
    names = ("Dmax", "D0.03cc", "D0.1cc", "D0.5cc", "D2cc")
    values = [evaluate_metric(parse_metric(name), histogram) for name in names]
    assert values == sorted(values, reverse=True)
    assert len({round(value, 2) for value in values}) == len(names)


# ------------------------------------------------------------------------- the published case


def test_the_published_case():
    """57.75 and 42.75 Gy before, 38.18 planned, 25.65 delivered (alpha/beta 2 Gy)."""
    got = [eqd2(55, 25, 2.0), eqd2(45, 25, 2.0), eqd2(40, 22, 2.0), eqd2(27, 15, 2.0)]
    assert got == pytest.approx([57.75, 42.75, 38.18, 25.65], abs=0.00501)


def test_27_in_15_is_not_15_of_22_fractions_of_40():
    course = Course("second", "", "", (Prescription("GTV", 40.0),), 22, 15, delivered_dose_gy=27.0)
    finding = inconsistent_fraction_dose(course)
    assert finding is not None
    assert finding.severity is Severity.CAUTION
    assert "1.800 Gy each" in finding.text
    assert "27.27" in finding.text


def test_a_boost_inside_a_course_is_not_hidden_by_its_label():
    """55 and 45 Gy in 25 fractions at once: the "45 Gy course" holds 57.75 Gy(2)."""
    values = np.full(GRID.shape, 45.0, dtype=np.float32)
    values[4:6] = 55.0
    total = to_eqd2(Dose(values, GRID), n_fractions_planned=25, alpha_beta_gy=2.0)
    assert float(total.values.max()) == pytest.approx(57.75, abs=1e-3)
    assert float(total.values.min()) == pytest.approx(42.75, abs=1e-3)


def test_there_is_no_cord_below_the_conus():
    """L4/5 to S1: a cord score must be refused, not low."""
    with pytest.raises(InputError, match="below the conus"):
        nieder_score([(45, 25), (40, 22)], interval_months=12, level=SpineLevel.BELOW_CONUS)
    assert limits_for("ThecalSac", "hytec2021", 12, level=SpineLevel.BELOW_CONUS) == ()


def test_discounting_physical_dose_is_not_discounting_eqd2():
    """50 Gy in 25 at 50 %: 25.0 Gy against 18.75 Gy."""
    assert 0.5 * eqd2(50, 25, 2.0) == pytest.approx(25.0)
    assert eqd2(25, 25, 2.0) == pytest.approx(18.75)
    course = CourseDose("c", (PhaseDose(flat(50.0), 25, 25),), SAME, recovery_fraction=0.5)
    assert accumulate([course], GRID, alpha_beta_gy=2.0).values[0, 0, 0] == pytest.approx(25.0)
    left = physical_from_eqd2(0.0, n_fractions=5, alpha_beta_gy=2.0)
    assert left == 0.0
