import pytest

from rerad.core import Course, Prescription
from rerad.radiobiology import inconsistent_fraction_dose


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
