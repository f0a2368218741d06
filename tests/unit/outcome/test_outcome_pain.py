"""Pain response: every rule of the consensus, and honesty about what is unknown."""

import pytest

from rerad.errors import InputError, MissingDataError
from rerad.outcome import (
    PainCategory,
    PainState,
    opioid_table,
    opioid_tables,
    oral_morphine_mg_day,
    pain_response,
)

CR, PR = PainCategory.COMPLETE, PainCategory.PARTIAL
PP, IR = PainCategory.PROGRESSION, PainCategory.INDETERMINATE


@pytest.mark.parametrize(
    ("score_before", "score_after", "opioid_before", "opioid_after", "expected"),
    [
        (8, 0, 100, 100, CR),
        (8, 0, 100, 50, CR),
        (8, 0, 100, 110, IR),  # pain gone, but with more opioid
        (8, 6, 100, 100, PR),
        (8, 6, 100, 101, IR),  # two points lower, but with more opioid
        (8, 7, 100, 100, IR),
        (8, 8, 100, 75, PR),  # a quarter less opioid, pain no worse
        (8, 8, 100, 76, IR),
        (8, 9, 100, 50, IR),
        (5, 7, 100, 100, PP),
        (5, 7, 100, 80, PP),  # a fifth less is still stable
        (5, 7, 100, 75, IR),
        (5, 6, 100, 100, IR),
        (5, 5, 100, 125, PP),
        (5, 6, 100, 125, PP),
        (5, 5, 100, 124, IR),
        (5, 4, 100, 150, IR),
        (6, 3, 0, 0, PR),
        (5, 5, 0, 30, PP),  # an opioid was begun
    ],
)
def test_the_classes_of_the_consensus(
    score_before: float,
    score_after: float,
    opioid_before: float,
    opioid_after: float,
    expected: PainCategory,
) -> None:
    before = PainState(score_before, score_before, opioid_before)
    after = PainState(score_after, score_after, opioid_after)
    response = pain_response(before, after)
    assert response.category == expected
    assert response.possible == (expected,)


def test_the_published_case_is_indeterminate_because_an_opioid_dose_is_unknown() -> None:
    response = pain_response(PainState(8, 9, 180), PainState(5, 5, None))
    assert response.category is IR
    assert "score 8-9 to 5" in response.reason
    assert "the later opioid dose is unknown" in response.reason
    assert set(response.possible) == {IR, PR}
    earlier = pain_response(PainState(8, 9, None), PainState(5, 5, 180))
    assert earlier.category is IR
    assert "the earlier opioid dose is unknown" in earlier.reason
    # with a steady dose it would be a partial response, with a higher one not
    assert pain_response(PainState(8, 9, 180), PainState(5, 5, 180)).category is PR
    assert pain_response(PainState(8, 9, 180), PainState(5, 5, 240)).category is IR


def test_a_range_decides_only_where_all_of_it_agrees() -> None:
    assert pain_response(PainState(7, 9, 10), PainState(5, 5, 10)).category is PR
    wide = pain_response(PainState(6, 9, 10), PainState(5, 5, 10))
    assert wide.category is IR
    assert "the stated range of scores leaves it open" in wide.reason
    assert set(wide.possible) == {IR, PR}


def test_an_unknown_that_does_not_matter_does_not_hide_the_class() -> None:
    # one point higher: no decrease of opioid makes it a response, and 25 % more a progression
    response = pain_response(PainState(5, 5, None), PainState(6, 6, None))
    assert set(response.possible) == {IR, PP}
    # from nothing the opioid cannot become less
    assert set(pain_response(PainState(5, 5, 0), PainState(5, 5, None)).possible) == {IR, PP}
    everything = pain_response(PainState(None, None, None), PainState(None, None, None))
    assert set(everything.possible) == {CR, PR, PP, IR}
    assert "the earlier score is unknown" in everything.reason
    assert "the later score is unknown" in everything.reason


def test_scores_are_from_0_to_10() -> None:
    with pytest.raises(InputError, match="expected pain scores from 0 to 10"):
        PainState(8, 11, 0)
    with pytest.raises(InputError, match="lowest first"):
        PainState(8, 7, 0)


def test_oral_morphine_equivalents_by_named_tables() -> None:
    new, old = opioid_table("cdc-2022"), opioid_table("cdc-2016")
    # worked example W23: 60 mg every 12 h is 120 mg a day, times 1.5
    assert oral_morphine_mg_day("Oxycodone", 60, 12, new) == 180
    assert oral_morphine_mg_day("hydromorphone", 4, 6, new) == 80
    assert oral_morphine_mg_day("hydromorphone", 4, 6, old) == 64
    with pytest.raises(MissingDataError, match=r"methadone by mouth is not in .* cdc-2016"):
        oral_morphine_mg_day("methadone", 5, 8, old)
    with pytest.raises(MissingDataError, match="no opioid conversion table 'mine'"):
        opioid_table("mine")
    with pytest.raises(InputError, match="an interval above 0"):
        oral_morphine_mg_day("morphine", 5, 0, old)
    assert all(table.source.citation for table in opioid_tables())
