import pytest

from rerad.core import RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    SpineLevel,
    check_basis,
    limits_for,
    organ_of,
    rule_set,
    rule_sets,
)


def values(organ, rules, months):
    return [limit.limit_gy for limit in limits_for(organ, rules, months)]


def test_slevin_limits_depend_on_the_interval():
    assert values("SacralPlex_R", "slevin2021", 6) == [67.0]
    assert values("SacralPlex_R", "slevin2021", 12) == [67.0, 85.0]
    assert values("CaudaEquina", "slevin2021", None) == [67.0, 85.0]
    assert values("Bladder", "slevin2021", None) == [80.0, 110.0]
    assert values("Bowel_Small", "slevin2021", None) == [70.0, 90.0]
    assert values("Rectum", "slevin2021", None) == [80.0, 100.0]
    late = limits_for("SacralPlex_R", "slevin2021", 13)[1]
    assert late.consensus == "majority, not consensus"
    assert (late.metric, late.alpha_beta_gy, late.trust) == ("D0.1cc", 2.0, "R2")
    assert limits_for("Bladder", "slevin2021", 13)[1].consensus == "consensus"


@pytest.mark.parametrize(
    ("structure", "limit_gy"),
    [
        ("SacralPlex_L", 70),
        ("CaudaEquina", 60),
        ("Bladder", 85),
        ("Rectum", 80),
        ("Colon_Sigmoid", 70),
        ("Bowel_Small", 54),
        ("Duodenum", 54),
        ("Stomach", 54),
        ("A_Aorta", 100),
        ("BrachialPlex_L", 70),
        ("Brainstem", 64),
        ("OpticNrv_R", 54),
    ],
)
def test_michigan_limits(structure, limit_gy):
    (limit,) = limits_for(structure, "umich", 7)
    assert limit.limit_gy == limit_gy
    assert limit.alpha_beta_gy == 2.5
    assert limit.recovery_basis is RecoveryBasis.DISCOUNTED


def test_michigan_cord_has_its_exception_as_a_separate_conditioned_limit():
    general, near_target = limits_for("SpinalCord", "umich", None)
    assert (general.limit_gy, general.condition) == (50.0, "")
    assert near_target.limit_gy == 55.0
    assert "2 mm" in near_target.condition


def test_spared_volumes():
    (kidney,) = limits_for("Kidney_R", "umich", None)
    assert (kidney.metric, kidney.limit_gy, kidney.spared_volume_cc) == ("CV23Gy", 23, 200)
    assert "at least 200 cc below 23 Gy" in kidney.text


def test_hytec_limit_only_at_the_cord_and_from_five_months():
    def hytec(months, level):
        limits = limits_for("ThecalSac", "hytec2021", months, level=level)
        return [limit.limit_gy for limit in limits]

    assert hytec(4.9, SpineLevel.THORACIC) == []
    assert hytec(5, SpineLevel.THORACIC) == [70.0]
    # The course limit of 25 Gy is not a cumulative limit, as one public calculator has it.
    assert hytec(None, SpineLevel.CERVICAL) == [70.0]
    # A thecal sac in the sacrum holds no cord; nor does one whose level nobody stated.
    assert hytec(12, SpineLevel.BELOW_CONUS) == []
    assert hytec(12, None) == []


def test_double_counting_of_recovery_is_refused():
    slevin = limits_for("SacralPlex_R", "slevin2021", 18)[1]
    with pytest.raises(InputError, match="count recovery twice"):
        check_basis(slevin, 0.25)
    check_basis(slevin, 0.0)
    hytec = limits_for("ThecalSac", "hytec2021", 18, level=SpineLevel.THORACIC)[0]
    with pytest.raises(InputError, match="raw sum"):
        check_basis(hytec, 0.5)
    umich = limits_for("SacralPlex_R", "umich", 18)[0]
    check_basis(umich, 0.5)
    check_basis(umich, 0.0)
    with pytest.raises(InputError, match="0 to 1"):
        check_basis(umich, 1.5)


def test_every_limit_names_its_source_and_version():
    for rules in rule_sets():
        assert rules.version
        for limit in rules.limits:
            assert limit.rule_set == rules.name
            assert limit.citation
            assert limit.trust in {"R", "R2"}
            assert organ_of(limit.organ) == limit.organ
            assert limit.recovery_basis is rules.recovery_basis


def test_nothing_is_said_about_unknown_organs_and_rule_sets():
    assert limits_for("FemoralHead_L", "slevin2021", None) == ()
    with pytest.raises(MissingDataError, match="slevin2021, umich"):
        rule_set("emami")
    with pytest.raises(InputError, match="0 months or more"):
        limits_for("Bladder", "umich", -3)


@pytest.mark.parametrize(
    ("structure", "organ"),
    [
        ("SacralPlex_R", "sacral plexus"),
        ("sacralplex_l", "sacral plexus"),
        ("LumbSacPlex_R^minusGTV", "sacral plexus"),
        ("SacralPlex-GTV", "sacral plexus"),
        ("SacralPlex_R-GTV", "sacral plexus"),
        ("sacral plexus", "sacral plexus"),
        ("SacralPlex_R_PRV05", None),
        ("GTVn_Roots", None),
    ],
)
def test_organ_of(structure, organ):
    assert organ_of(structure) == organ
