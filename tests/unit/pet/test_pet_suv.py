from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Grid, Image, ImageUnit, Modality, PetAcquisition
from rerad.errors import InputError, MissingDataError
from rerad.pet import to_suv

GRID = Grid((1, 1, 2), (0, 0, 0), (4, 4, 4), "1.2.3")
FACTS = PetAcquisition(
    patient_weight_kg=70.0,
    injected_activity_bq=350e6,
    half_life_s=6586.2,
    injection_to_reference_s=6586.2,
    decay_correction="START",
)


def pet(**changes):
    image = Image(
        np.array([[[2500.0, 5000.0]]]),
        GRID,
        Modality.PET,
        ImageUnit.BQML,
        description="AC",
        pet=FACTS,
    )
    return replace(image, **changes)


def test_one_half_life_after_injection():
    suv = to_suv(pet())
    assert suv.unit is ImageUnit.SUVBW
    # 70 kg and half of 350 MBq: 1 SUV is 2500 Bq/ml.
    np.testing.assert_allclose(suv.values[0, 0], [1.0, 2.0], rtol=1e-6)


def test_uniform_activity_has_suv_one():
    """All the activity spread evenly through a body of density 1 g/ml is SUV 1."""
    facts = replace(FACTS, injection_to_reference_s=0.0)
    uniform = np.full((1, 1, 2), 350e6 / 70e3)
    np.testing.assert_allclose(to_suv(pet(values=uniform, pet=facts)).values, 1.0, rtol=1e-6)


def test_correction_to_injection_needs_no_time():
    facts = replace(
        FACTS, decay_correction="ADMIN", injection_to_reference_s=None, half_life_s=None
    )
    np.testing.assert_allclose(to_suv(pet(pet=facts)).values[0, 0], [0.5, 1.0], rtol=1e-6)


def test_suv_stays_suv():
    image = pet(unit=ImageUnit.SUVBW, pet=None)
    assert to_suv(image) is image


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("patient_weight_kg", "patient weight in kg"),
        ("injected_activity_bq", "injected activity in Bq"),
        ("half_life_s", "half life in s"),
        ("injection_to_reference_s", "time from injection"),
    ],
)
def test_what_is_missing_is_named(field, named):
    with pytest.raises(MissingDataError, match=named):
        to_suv(pet(pet=replace(FACTS, **{field: None})))


def test_other_images_are_refused():
    with pytest.raises(MissingDataError, match="none of them"):
        to_suv(pet(pet=None))
    with pytest.raises(InputError, match="expected a PET image"):
        to_suv(pet(modality=Modality.CT))
    with pytest.raises(InputError, match="Bq/ml"):
        to_suv(pet(unit=ImageUnit.ARBITRARY))
    with pytest.raises(InputError, match="decay correction START, ADMIN or NONE, got nothing"):
        to_suv(pet(pet=replace(FACTS, decay_correction="")))
    with pytest.raises(MissingDataError, match="time from injection"):
        to_suv(pet(pet=replace(FACTS, decay_correction="NONE")))
    with pytest.raises(InputError, match="0 s or more after injection"):
        to_suv(pet(pet=replace(FACTS, injection_to_reference_s=-60.0)))
    with pytest.raises(InputError, match="above 0"):
        to_suv(pet(pet=replace(FACTS, patient_weight_kg=0.0)))
