"""SUV by lean mass and body surface, facts of the user, and numbers of an image."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Grid, HeaderConflict, Image, ImageUnit, Modality, PetAcquisition
from rerad.errors import InputError, MissingDataError
from rerad.pet import (
    SuppliedFacts,
    SuvKind,
    supply_facts,
    suv_factor,
    suv_findings,
    suv_statistics,
    to_suv,
)
from rerad.pet.body import (
    body_surface_m2,
    james_turning_bmi,
    lean_mass_james_kg,
    lean_mass_janmahasatian_kg,
)
from rerad.pet.statistics import sphere_weights

GRID = Grid((2, 1, 2), (0, 0, 0), (4, 4, 4), "1.2.3")
FACTS = PetAcquisition(
    patient_weight_kg=70.0,
    injected_activity_bq=350e6,
    half_life_s=6586.2,
    injection_to_reference_s=6586.2,
    decay_correction="START",
    patient_height_m=1.7,
    patient_sex="F",
    corrections=("DECY", "ATTN"),
)


def pet(facts=FACTS, **changes):
    image = Image(
        np.full((2, 1, 2), 2500.0), GRID, Modality.PET, ImageUnit.BQML, description="AC", pet=facts
    )
    return replace(image, **changes)


def test_lean_mass_and_surface_of_a_worked_example():
    """A woman of 70 kg and 1.70 m, with pencil and paper: BMI 24.2215."""
    assert lean_mass_janmahasatian_kg(70, 1.7, "F") == pytest.approx(
        9270 * 70 / (8780 + 244 * 70 / 2.89)
    )
    assert lean_mass_janmahasatian_kg(70, 1.7, "F") == pytest.approx(44.175, abs=5e-3)
    assert lean_mass_james_kg(70, 1.7, "F") == pytest.approx(74.9 - 148 * 4900 / 28900)
    assert lean_mass_james_kg(70, 1.7, "M") == pytest.approx(77.0 - 128 * 4900 / 28900)
    # Du Bois' table gives 1.81 m² for 70 kg and 170 cm.
    assert body_surface_m2(70, 1.7) == pytest.approx(1.81, abs=5e-3)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SuvKind.BODY_WEIGHT, 1.0),
        (SuvKind.LEAN_JANMAHASATIAN, 44.175 / 70),
        (SuvKind.LEAN_JAMES, (74.9 - 148 * 4900 / 28900) / 70),
        (SuvKind.BODY_SURFACE, 2500 * 0.007184 * 70**0.425 * 170**0.725 * 1e4 / 175e6),
    ],
)
def test_each_kind_is_activity_over_what_it_is_spread_over(kind, value):
    suv = to_suv(pet(), kind)
    np.testing.assert_allclose(suv.values, value, rtol=1e-4)
    # From body weight to the other kind by body alone.
    by_weight = to_suv(pet())
    np.testing.assert_allclose(to_suv(by_weight, kind).values, value, rtol=1e-4)


def test_slices_without_decay_correction_stand_at_their_own_times():
    facts = replace(
        FACTS,
        decay_correction="NONE",
        injection_to_reference_s=None,
        injection_to_slice_s=(6586.2, 2 * 6586.2),
    )
    suv = to_suv(pet(facts))
    np.testing.assert_allclose(suv.values[:, 0, 0], [1.0, 2.0], rtol=1e-6)
    codes = {finding.code for finding in suv_findings(pet(facts), suv_factor(pet(facts)))}
    assert "pet-not-decay-corrected" in codes


def test_a_contradiction_is_refused_by_name_until_the_user_decides():
    conflict = HeaderConflict("injected_activity_bq", "Radionuclide Total Dose is 370")
    image = pet(replace(FACTS, conflicts=(conflict,)))
    with pytest.raises(InputError, match="Total Dose is 370; supply --activity-mbq"):
        to_suv(image)
    image, findings = supply_facts(image, SuppliedFacts(injected_activity_bq=350e6))
    np.testing.assert_allclose(to_suv(image).values, 1.0, rtol=1e-6)
    assert image.pet.supplied == ("injected_activity_bq",)
    assert "user" in findings[0].text
    assert "user-supplied" in suv_factor(image).source


def test_the_scanners_own_factor_is_checked():
    own = 1 / 2500
    agreeing = pet(replace(FACTS, stated_suv_per_bqml=own * 1.01))
    assert "agreeing" in suv_factor(agreeing).source
    with pytest.raises(InputError, match=r"the scanner's SUV factor is .* find out"):
        to_suv(pet(replace(FACTS, stated_suv_per_bqml=own * 1.2)))
    alone = pet(replace(FACTS, patient_weight_kg=None, stated_suv_per_bqml=own))
    np.testing.assert_allclose(to_suv(alone).values, 1.0, rtol=1e-6)
    assert [f.code for f in suv_findings(alone, suv_factor(alone))] == ["suv-factor-unchecked"]


def test_counts_need_a_scale_from_the_user():
    image = pet(unit=ImageUnit.COUNTS)
    with pytest.raises(InputError, match="--bqml-per-unit"):
        to_suv(image)
    scaled, _ = supply_facts(image, SuppliedFacts(bqml_per_unit=2.0))
    np.testing.assert_allclose(to_suv(scaled).values, 2.0, rtol=1e-6)
    with pytest.raises(InputError, match="expected an image in counts"):
        supply_facts(pet(), SuppliedFacts(bqml_per_unit=2.0))


def test_lean_mass_needs_height_and_sex():
    with pytest.raises(MissingDataError, match=r"height in m.*--height"):
        to_suv(pet(replace(FACTS, patient_height_m=None)), SuvKind.LEAN_JANMAHASATIAN)
    with pytest.raises(MissingDataError, match="sex F or M, got O"):
        to_suv(pet(replace(FACTS, patient_sex="O")), SuvKind.LEAN_JAMES)


def test_james_formula_turns_where_its_derivative_is_zero():
    top = james_turning_bmi("F")
    at, above = (lean_mass_james_kg(bmi * 1.7**2, 1.7, "F") for bmi in (top, top + 5))
    assert above < at
    heavy = pet(replace(FACTS, patient_weight_kg=(top + 1) * 1.7**2))
    codes = [f.code for f in suv_findings(heavy, suv_factor(heavy, SuvKind.LEAN_JAMES))]
    assert codes == ["suv-james-beyond-top"]


def test_attenuation_is_asked_for():
    bare = pet(replace(FACTS, corrections=("DECY", "SCAT")))
    findings = suv_findings(bare, suv_factor(bare))
    assert [(f.code, f.severity.value) for f in findings] == [
        ("pet-attenuation-not-corrected", "serious")
    ]


def test_supplied_facts_are_checked():
    with pytest.raises(InputError, match="patient_weight_kg above 0"):
        SuppliedFacts(patient_weight_kg=-1.0)
    with pytest.raises(InputError, match="decay_correction START"):
        SuppliedFacts(decay_correction="SOON")


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.0, 2.0, 3.27), (1.5, 2.5, 5.0)])
def test_the_peak_sphere_holds_one_cc(spacing):
    weights = sphere_weights(spacing, 1.0)
    assert weights.sum() == pytest.approx(1.0)
    # The centre voxel is wholly inside: its share of the sphere is its volume in cc.
    centre = tuple(n // 2 for n in weights.shape)
    assert weights[centre] == pytest.approx(np.prod(spacing) / 1000, rel=0.02)


def test_peak_of_a_linear_ramp_is_the_centre_and_of_a_point_its_share():
    grid = Grid((9, 9, 9), (0, 0, 0), (4, 4, 4), "1.2.3")
    ramp = np.broadcast_to(np.arange(9.0), (9, 9, 9))
    image = Image(ramp, grid, Modality.PET, ImageUnit.SUVBW)
    numbers = suv_statistics(image)
    # The sphere must lie in the image: its last centre is two voxels from the edge.
    assert numbers.peak == pytest.approx(6.0)
    assert numbers.peak_at_mm[0] == pytest.approx(24.0)
    assert (numbers.minimum, numbers.mean, numbers.maximum) == (0.0, 4.0, 8.0)
    point = np.zeros((9, 9, 9))
    point[4, 4, 4] = 10.0
    spot = suv_statistics(replace(image, values=point))
    assert spot.peak == pytest.approx(10 * 0.064, rel=0.02)
    assert spot.maximum_at_mm == (16.0, 16.0, 16.0)


def test_an_image_too_small_for_the_sphere_has_no_peak():
    assert np.isnan(suv_statistics(to_suv(pet())).peak)
