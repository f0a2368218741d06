import pytest

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    load_recovery_tables,
    recovery_fraction,
    recovery_scenarios,
    recovery_table,
    tolerance_increase,
)


def test_shipped_tables():
    names = [table.name for table in load_recovery_tables()]
    assert names == ["none", "umich", "abusaris", "nieder-interpolated", "noel", "price"]


@pytest.mark.parametrize(
    ("table", "organ", "months", "fraction"),
    [
        ("none", "SacralPlex_L", 100, 0.0),
        ("umich", "SacralPlex_L", 2.9, 0.0),
        ("umich", "SacralPlex_L", 4, 0.10),
        ("umich", "cauda equina", 8, 0.25),
        ("umich", "Bladder", 12, 0.50),
        ("umich", "Bladder", 80, 0.50),
        ("umich", "Bowel_Small", 5, 0.0),
        ("umich", "Bowel_Small", 20, 0.40),
        ("umich", "Stomach", 40, 0.50),
        ("umich", "Duodenum", 20, 0.25),
        ("umich", "Kidney_L", 8, 0.0),
        ("umich", "Kidney_R", 100, 0.0),
        ("umich", "Lung_L", 20, 0.25),
        ("umich", "Liver", 20, 0.50),
        ("umich", "Liver", 25, 1.0),
        ("abusaris", "Rectum", 5.9, 0.0),
        ("abusaris", "Rectum", 7, 0.25),
        ("abusaris", "Rectum", 13, 0.50),
        ("nieder-interpolated", "SpinalCord", 3, 0.0),
        ("nieder-interpolated", "SpinalCord", 4, 0.17),
        ("nieder-interpolated", "SpinalCord", 10.5, 0.45),
        ("nieder-interpolated", "SpinalCord", 30, 0.50),
        ("noel", "SpinalCord", 11, 0.0),
        ("noel", "SpinalCord", 12, 0.05),
        ("noel", "SpinalCord", 61, 0.25),
        ("noel", "SpinalCord", 200, 0.50),
        ("price", "SpinalCord", 3, 0.0),
        ("price", "SpinalCord", 20, 0.50),
    ],
)
def test_recovery_fraction(table, organ, months, fraction):
    assert recovery_fraction(table, organ, months) == pytest.approx(fraction)


def test_unknown_interval_gets_scenarios_and_never_one_number():
    with pytest.raises(MissingDataError, match="recovery_scenarios"):
        recovery_fraction("umich", "SacralPlex_R", None)
    scenarios = recovery_scenarios("umich", "SacralPlex_R")
    assert [s.label for s in scenarios] == [
        "0-3 months",
        "3-6 months",
        "6-12 months",
        "12-36 months",
        ">= 36 months",
    ]
    assert [s.fraction for s in scenarios] == [0.0, 0.10, 0.25, 0.50, 0.50]
    assert all(s.citation and s.trust == "R2" for s in scenarios)


def test_full_recovery_appears_only_for_the_liver():
    full = {
        (table.name, row.organ)
        for table in load_recovery_tables()
        for row in table.organs
        for interval_class in row.classes
        if interval_class.fraction > 0.5
    }
    assert full == {("umich", "liver")}


def test_what_a_source_does_not_state_is_refused():
    with pytest.raises(MissingDataError, match="does not state"):
        recovery_fraction("price", "SpinalCord", 8)
    assert [s.label for s in recovery_scenarios("price", "SpinalCord")] == [
        "0-6 months",
        ">= 12 months",
    ]


def test_classes_do_not_overlap_and_never_fall():
    for table in load_recovery_tables():
        for row in table.organs:
            for before, after in zip(row.classes, row.classes[1:], strict=False):
                assert before.months_to is not None
                assert before.months_to <= after.months_from
                assert before.fraction <= after.fraction
            assert row.classes[0].months_from == 0
            assert row.classes[-1].months_to is None


def test_bad_requests():
    with pytest.raises(MissingDataError, match="choose one of none"):
        recovery_table("paradis2031")
    with pytest.raises(InputError, match="0 months or more"):
        recovery_fraction("umich", "Bladder", -1)
    with pytest.raises(MissingDataError, match="doi-simple"):
        tolerance_increase("other", 6)
