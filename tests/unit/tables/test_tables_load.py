import pytest

from rerad.errors import InputError, MissingDataError
from rerad.tables import load_nerve_diameters, load_table, source_of


def rows_with_numbers(node, where):
    """Yield every table that holds a number of its own."""
    if isinstance(node, dict):
        if any(isinstance(value, (int, float)) for value in node.values()):
            yield where, node
        for key, value in node.items():
            yield from rows_with_numbers(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from rows_with_numbers(value, f"{where}[{index}]")


@pytest.mark.parametrize("name", ["alpha_beta", "nerve_diameters"])
def test_every_row_of_numbers_names_its_source(name):
    rows = list(rows_with_numbers(load_table(name), name))
    assert rows
    for where, row in rows:
        assert source_of(row, where).text


def test_every_limit_and_recovery_table_names_its_source():
    for rules in load_table("tolerances")["rule_set"]:
        source_of(rules, rules["name"])
    for table in load_table("recovery")["table"]:
        for row in table["organ"]:
            source_of(row, table["name"])


def test_a_row_without_source_is_refused():
    with pytest.raises(InputError, match="row 3: expected a citation"):
        source_of({"value": 3, "trust": "R"}, "row 3")
    with pytest.raises(InputError, match="trust tag"):
        source_of({"citation": "someone", "trust": "sure"}, "row 4")


def test_unknown_table():
    with pytest.raises(MissingDataError, match="'dreams'"):
        load_table("dreams")


def test_nerve_diameters():
    """Clin Anat 2018;31:782: mean plus two standard deviations for L4, L5, S1."""
    first = {
        row.root: row for row in load_nerve_diameters() if row.series == "MR neurography 2018"
    }
    assert [first[root].mean_mm for root in ("L2", "L3", "L4", "L5", "S1")] == [
        3.12,
        4.29,
        5.13,
        5.29,
        5.38,
    ]
    flags = [first[root].mean_mm + 2 * first[root].sd_mm for root in ("L4", "L5", "S1")]
    assert flags == pytest.approx([6.71, 7.09, 6.78])
