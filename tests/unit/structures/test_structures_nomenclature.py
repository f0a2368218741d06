"""Names of structures."""

import pytest

from rerad.structures import check_name, recognized_organ, suggest_name
from rerad.structures.nomenclature import structure_names


@pytest.mark.parametrize(
    ("name", "organ"),
    [
        ("SacralPlex_R", "SacralPlex"),
        ("Bladder", "Bladder"),
        ("Colon_Sigmoid", "Colon_Sigmoid"),
        ("Bowel_Small", "Bowel_Small"),
        ("CaudaEquina", "CaudaEquina"),
        ("ThecalSac", "ThecalSac"),
        ("Femur_Head_L", "Femur_Head"),
        ("Femoral Head Lt", "Femur_Head"),
        ("FemoralHeadRT", "Femur_Head"),
        ("left kidney", "Kidney"),
        ("sigmoid", "Colon_Sigmoid"),
        ("Ureter", "Ureter"),
    ],
)
def test_organs_are_known_by_their_names_and_synonyms(name, organ):
    assert recognized_organ(name) == organ


@pytest.mark.parametrize("name", ["PTV", "GTV_55", "SpinalCord_PRV05", "Blader", "z_ring", ""])
def test_what_is_not_an_organ_is_not_guessed(name):
    assert recognized_organ(name) is None


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Blader", "Bladder"),
        ("SpinalCrd", "SpinalCord"),
        ("femoral head right", "Femur_Head_R"),
        ("Rt_Lung", "Lung_R"),
        ("Bladder", "Bladder"),
        ("PTV", None),
        ("SpinalCord_PRV05", None),
        ("something else", None),
    ],
)
def test_suggestions(name, suggestion):
    assert suggest_name(name) == suggestion


def test_problems_are_named():
    assert check_name("Femur_Head_L") == []
    assert check_name("SpinalCord_PRV05") == []
    assert any("at most 16" in problem for problem in check_name("LumbosacralPlexus_R"))
    assert any("space" in problem for problem in check_name("Small bowel"))
    assert "TG-263 has the name Bowel_Small" in check_name("Small bowel")
    assert any("characters other than" in problem for problem in check_name("Bl@dder"))
    assert check_name("") == ["the name is empty"]


def test_the_table_keeps_its_own_rules():
    rows = structure_names()
    assert len({row.name for row in rows}) == len(rows) > 60
    for row in rows:
        assert check_name(row.name) == [], row.name
        assert recognized_organ(row.name) == row.organ
        assert row.laterality in {"none", "left", "right", "paired"}
        assert (row.laterality == "left") == row.name.endswith("_L")
        assert (row.laterality == "right") == row.name.endswith("_R")
        for synonym in row.synonyms:
            assert suggest_name(synonym) == row.name, synonym
