"""Pitfalls of files, grids and structures seen in public tools; those of models are beside.

Each dose here differs along every axis, so that a grid used twice, a swapped axis or a mask one
slice off changes the number that is asserted.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rerad.accumulation import (
    CourseDose,
    PhaseDose,
    accumulate,
    organ_sum,
    proposed_strategy_settings,
    sum_doses,
)
from rerad.core import (
    Contour,
    Course,
    Dose,
    DoseQuantity,
    Grid,
    Patient,
    Prescription,
    RecordGrade,
    RigidTransform,
    Severity,
    Structure,
    StructureKind,
)
from rerad.dicom import PlanReference, StudyHeader, read_dose, write_dose
from rerad.errors import DicomError
from rerad.evaluation import dvh, evaluate_metric, parse_metric
from rerad.radiobiology import dose_contradicts_record, eqd2, rule_sets
from rerad.structures import rasterize

FRAME = "1.2.3"
GRID = Grid((10, 16, 20), (-28.5, -22.5, -13.5), (3.0, 3.0, 3.0), FRAME)
SAME = RigidTransform.identity(FRAME)
ROOT = Path(__file__).resolve().parents[2]


def sloped(grid, slopes, at_origin_gy=20.0):
    """Dose that rises by its own Gy/mm along x, y and z."""
    x, y, z = grid.axes_mm
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    gy = at_origin_gy + slopes[0] * xx + slopes[1] * yy + slopes[2] * zz
    return Dose(gy.astype(np.float32), grid)


def prism(name, low, high, heights, thickness):
    square = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    contours = tuple(Contour(float(z), square.astype(float)) for z in heights)
    return Structure(name, StructureKind.OAR, FRAME, contours, thickness)


def written(tmp_path, dose, n_bits=16):
    path = tmp_path / f"rd{n_bits}.dcm"
    plan = PlanReference("1.2.3.5", FRAME)
    study = StudyHeader(study_uid="1.2.3.4")
    write_dose(dose, Patient("P"), path, study=study, plans=(plan,), n_bits=n_bits)
    return path


# ------------------------------------------------------------------------------- sums of doses


def test_every_grid_of_a_sum_is_its_own_and_stays_in_its_place():
    """DVH-Analytics 94 used the first grid again, 35 mixed rows with columns; three grids here."""
    fine = Grid((18, 26, 34), (-34.0, -26.0, -18.0), (2.0, 2.0, 2.0), FRAME)
    long = Grid((32, 13, 14), (-40.0, -31.0, -50.0), (6.0, 5.0, 3.0), FRAME)
    parts = [(fine, (0.2, 0.05, -0.1)), (long, (-0.1, 0.3, 0.02)), (GRID, (0.03, -0.2, 0.25))]
    # One fraction of alpha/beta so large that EQD2 is the dose: then a straight slope stays one.
    courses = [
        CourseDose(str(n), (PhaseDose(sloped(grid, slopes), 1, 1),), SAME)
        for n, (grid, slopes) in enumerate(parts)
    ]
    total = accumulate(courses, GRID, alpha_beta_gy=1e9)
    together = tuple(sum(slopes[axis] for _, slopes in parts) for axis in range(3))
    expected = sloped(GRID, together, at_origin_gy=60.0)
    np.testing.assert_allclose(total.values, expected.values, atol=2e-4)


def test_a_sum_is_of_all_its_parts_and_not_the_first(tmp_path):
    """dicompyler-plugins 4: the sum was shown and the first dose was used."""
    doses = [
        Dose(sloped(GRID, (0.2, 0.1, 0.3)).values * share, GRID, DoseQuantity.EQD2, 2.0)
        for share in (1.0, 0.5, 0.25)
    ]
    total = sum_doses(doses)
    np.testing.assert_allclose(total.values, 1.75 * doses[0].values, rtol=1e-6)
    organ = prism("Bladder", (-20, -15, -12), (20, 15, 12), np.arange(-10.5, 12, 3.0), 3.0)
    assert dvh(total, organ).max_gy == pytest.approx(1.75 * dvh(doses[0], organ).max_gy)


def test_a_stale_histogram_in_a_dose_file_changes_nothing(tmp_path):
    """DVH-Analytics 95 showed the histogram that came with the file, of another dose."""
    path = written(tmp_path, sloped(GRID, (0.2, 0.1, 0.3)))
    organ = prism("Bladder", (-20, -15, -12), (20, 15, 12), np.arange(-10.5, 12, 3.0), 3.0)
    before = dvh(read_dose(path), organ)
    dataset = pydicom.dcmread(path)
    stale = Dataset()
    stale.DVHType, stale.DoseUnits, stale.DoseType = "CUMULATIVE", "GY", "PHYSICAL"
    stale.DVHDoseScaling, stale.DVHVolumeUnits, stale.DVHNumberOfBins = 1.0, "CM3", 2
    stale.DVHData, stale.DVHMaximumDose, stale.DVHMeanDose = [99.0, 5.0, 1.0, 0.0], 99.0, 99.0
    dataset.DVHSequence = Sequence([stale])
    dataset.save_as(path)
    after = dvh(read_dose(path), organ)
    assert (after.max_gy, after.mean_gy) == (before.max_gy, before.mean_gy)
    assert after.max_gy < 50


def test_the_scaling_of_each_file_is_used_and_none_is_guessed(tmp_path):
    """PyEQD2 2: doses of another planning system came out mis-scaled."""
    dose = sloped(GRID, (0.2, 0.1, 0.3))
    for n_bits in (16, 32):
        path = written(tmp_path, dose, n_bits)
        np.testing.assert_allclose(read_dose(path).values, dose.values, atol=1e-3)
        dataset = pydicom.dcmread(path)
        dataset.DoseGridScaling = f"{3.0 * float(dataset.DoseGridScaling):.9g}"
        dataset.save_as(path)
        np.testing.assert_allclose(read_dose(path).values, 3.0 * dose.values, rtol=1e-4)
        for scaling in ("0", None):
            dataset.DoseGridScaling = scaling
            dataset.save_as(path)
            with pytest.raises(DicomError, match="Dose Grid Scaling"):
                read_dose(path)
    dataset.DoseGridScaling = "0.001"
    dataset.DoseUnits = "CGY"
    dataset.save_as(path)
    with pytest.raises(DicomError, match="expected DoseUnits GY, got CGY"):
        read_dose(path)


def test_a_dose_file_that_contradicts_its_prescription_is_told():
    """PyEQD2 2 again: a fraction's dose that calls itself the plan's, or cGy called Gy."""
    prescribed = (Prescription("PTV_4500", 45.0), Prescription("GTVp_5500", 55.0))
    course = Course("first", "", "", prescribed, 25, 25, grade=RecordGrade.FULL_DICOM)
    assert dose_contradicts_record(course, 57.9) is None
    fraction, centigray = (dose_contradicts_record(course, gy) for gy in (2.3, 5790.0))
    assert fraction is not None
    assert centigray is not None
    assert "one of 25 fractions" in fraction.text
    assert "cGy" in centigray.text
    assert {fraction.severity, centigray.severity} == {Severity.SERIOUS}


# ---------------------------------------------------------------------------------- structures


def test_contours_of_another_series_lie_where_they_were_drawn():
    """Masks landed on wrong slices: here 5 mm slices, begun elsewhere, on a grid of 3 mm."""
    heights = np.arange(-7.0, 9.0, 5.0)  # slabs of 5 mm: from -9.5 to 10.5 mm
    organ = prism("Bladder", (-20, -10, 0), (10, 14, 0), heights, 5.0)
    mask = rasterize(organ, GRID)
    weight = mask.fraction.astype(np.float64)
    z = mask.grid.axes_mm[2]
    middle = float((weight.sum(axis=(1, 2)) * z).sum() / weight.sum())
    assert weight.sum() * 27.0 / 1000.0 == pytest.approx(30 * 24 * 20 / 1000.0, rel=0.01)
    assert middle == pytest.approx(0.5, abs=0.1)
    # The dose rises along z alone: the histogram says on which heights it was read.
    histogram = dvh(sloped(GRID, (0.0, 0.0, 1.0)), organ)
    assert histogram.mean_gy == pytest.approx(20.5, abs=0.1)
    assert histogram.max_gy == pytest.approx(30.5, abs=0.5)


def test_an_organ_between_voxel_centres_is_neither_lost_nor_blunted():
    """EQD2Viewer took whole voxels by their centres: a nerve between them has none."""
    nerve = prism("NervRoot", (-1.3, -1.3, 0), (0.5, 0.3, 0), np.arange(-10.5, 12, 3.0), 3.0)
    x, y, _ = GRID.axes_mm
    assert not ((x > -1.3) & (x < 0.5)).any()
    assert not ((y > -1.3) & (y < 0.3)).any()
    histogram = dvh(sloped(GRID, (1.0, 0.0, 0.0), at_origin_gy=50.0), nerve)
    assert histogram.volume_cc == pytest.approx(1.8 * 1.6 * 24 / 1000.0, rel=0.02)
    assert histogram.mean_gy == pytest.approx(50.0 - 0.4, abs=0.05)
    assert histogram.max_gy == pytest.approx(50.0 + 0.5, abs=0.15)
    assert rasterize(nerve, GRID).fraction.max() < 0.4


def test_a_near_maximum_needs_as_much_volume_as_it_names():
    """D0.1cc of an organ of 0.07 cc is not its maximum under another name."""
    nerve = prism("NervRoot", (-1.3, -1.3, 0), (0.5, 0.3, 0), np.arange(-10.5, 12, 3.0), 3.0)
    histogram = dvh(sloped(GRID, (1.0, 0.0, 0.0), at_origin_gy=50.0), nerve)
    least = evaluate_metric(parse_metric("D0.1cc"), histogram)
    assert np.isnan(least) or least == pytest.approx(histogram.min_gy, abs=0.05)


def test_a_voxel_of_two_organs_has_the_equieffective_dose_of_each():
    """A tool with one alpha/beta for all organs at risk gives one of them the other's number."""
    dose = sloped(GRID, (0.1, 0.0, 0.0), at_origin_gy=40.0)
    course = CourseDose("c", (PhaseDose(dose, 10, 10),), SAME)
    heights = np.arange(-10.5, 12, 3.0)
    plexus = prism("SacralPlex_R", (-20, -15, 0), (10, 15, 0), heights, 3.0)
    rectum = prism("Rectum", (-10, -15, 0), (20, 15, 0), heights, 3.0)
    settings = replace(proposed_strategy_settings(seed=1), radius_mm=(0.0, 0.0, 0.0))
    values = {}
    for organ, alpha_beta in ((plexus, 2.0), (rectum, 3.0)):
        mask = rasterize(organ, GRID)
        found = organ_sum([course], mask, alpha_beta_gy=alpha_beta, settings=settings)
        values[organ.name] = found.maxima.voxel_sum_gy
    edge = {"SacralPlex_R": (41.0, 2.0), "Rectum": (42.0, 3.0)}
    for name, (gy, alpha_beta) in edge.items():
        assert values[name] == pytest.approx(eqd2(gy, 10, alpha_beta), abs=0.6)
    # The larger physical dose has the smaller equieffective one: one alpha/beta cannot give both.
    assert values["SacralPlex_R"] > values["Rectum"] + 1


# ------------------------------------------------------------------------------ miscoded science


def test_no_plexus_limit_of_45_is_shipped():
    """A public calculator holds the lumbosacral plexus to 45 Gy; no source says so."""
    limits = [
        limit.limit_gy
        for rules in rule_sets()
        for limit in rules.limits
        if "plexus" in limit.organ
    ]
    assert limits
    assert min(limits) >= 67


# ------------------------------------------------------------------------------------ the table


def test_the_table_of_pitfalls_names_tests_that_exist():
    text = (ROOT / "docs" / "methods" / "pitfalls.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 30
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"
    # Every test of the two files of pitfalls stands in the table.
    for path in ("tests/reference/test_pitfalls.py", "tests/reference/test_pitfalls_data.py"):
        tests = re.findall(r"^def (test_\w+)\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
        missing = [test for test in tests if (path, test) not in named]
        assert missing in ([], ["test_the_table_of_pitfalls_names_tests_that_exist"])
