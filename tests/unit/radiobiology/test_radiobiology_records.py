from dataclasses import replace

import pytest

from rerad.core import Course, Prescription, RecordGrade, Severity
from rerad.radiobiology import dose_contradicts_record, inconsistent_fraction_dose


def course(delivered_gy, n_delivered=15, levels=(("GTV", 40.0),), n_planned=22):
    prescriptions = tuple(Prescription(name, gy) for name, gy in levels)
    return Course(
        "course 2", "sacrum", "IMRT", prescriptions, n_planned, n_delivered, delivered_gy
    )


def test_forty_in_22_and_27_in_15_contradict_each_other():
    finding = inconsistent_fraction_dose(course(27.0))
    assert finding is not None
    assert finding.where == "course 2"
    for part in ("1.800", "1.818", "27.27"):
        assert part in finding.text


@pytest.mark.parametrize(
    "consistent",
    [
        course(27.3),
        course(27.0, levels=(("GTV", 40.0), ("PTV", 39.6))),
        course(None),
        course(27.0, n_delivered=None),
        course(27.0, n_planned=None),
        course(27.0, levels=()),
        course(0.0, n_delivered=0),
    ],
)
def test_consistent_or_silent_records_raise_no_finding(consistent):
    assert inconsistent_fraction_dose(consistent) is None


@pytest.mark.parametrize(
    ("max_gy", "words"),
    [
        (1.95, "dose of one of 22 fractions"),
        (4250.0, "cGy written as Gy"),
        (20.0, "Part of the plan"),
        (160.0, "brachytherapy"),
    ],
)
def test_a_dose_that_cannot_belong_to_the_prescription_is_doubted(max_gy, words):
    full = replace(course(None), grade=RecordGrade.FULL_DICOM)
    finding = dose_contradicts_record(full, max_gy)
    assert finding is not None
    assert finding.severity is Severity.SERIOUS
    assert words in finding.text
    assert "40 Gy" in finding.text


def test_a_dose_that_fits_or_is_no_file_is_not_doubted():
    full = replace(course(None), grade=RecordGrade.DOSE_GRID)
    for max_gy in (33.0, 42.8, 80.0, 0.0):
        assert dose_contradicts_record(full, max_gy) is None
    paper = replace(full, grade=RecordGrade.DVH_OR_POINTS)
    assert dose_contradicts_record(paper, 1.9) is None
    assert dose_contradicts_record(replace(full, prescriptions=()), 1.9) is None
