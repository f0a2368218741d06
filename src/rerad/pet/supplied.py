"""Facts that the user supplies where the header is silent or contradicts itself.

What is supplied replaces what the header says, is recorded with the image, and becomes a finding
that names both values: a SUV of typed-in numbers must be told from one of the scanner's.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from rerad.core import Finding, Image, ImageUnit, Severity
from rerad.core.pet import ACTIVITY_RANGE_BQ, HEIGHT_RANGE_M, WEIGHT_RANGE_KG
from rerad.errors import InputError, MissingDataError

RANGES = {
    "patient_weight_kg": WEIGHT_RANGE_KG,
    "patient_height_m": HEIGHT_RANGE_M,
    "injected_activity_bq": ACTIVITY_RANGE_BQ,
}
"""What a supplied number can be, as for the header's."""


@dataclass(frozen=True, slots=True)
class SuppliedFacts:
    """What the user says about a PET; None means that the header is to be used.

    Parameters
    ----------
    patient_weight_kg, patient_height_m : float or None
        Body weight and height.
    patient_sex : str or None
        F or M.
    injected_activity_bq : float or None
        Activity at injection; less what stayed in the syringe.
    half_life_s : float or None
        Of the nuclide.
    injection_to_reference_s : float or None
        From injection to the moment that the image is decay-corrected to.
    decay_correction : str or None
        START, ADMIN or NONE.
    bqml_per_unit : float or None
        What one unit of an image in counts is in Bq/ml.

    Raises
    ------
    InputError
        If a number is not finite and above 0 (the time: 0 or more), cannot be in the unit of its
        name, or a word is not known.
    """

    patient_weight_kg: float | None = None
    patient_height_m: float | None = None
    patient_sex: str | None = None
    injected_activity_bq: float | None = None
    half_life_s: float | None = None
    injection_to_reference_s: float | None = None
    decay_correction: str | None = None
    bqml_per_unit: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float):
                continue
            least_is_zero = field.name == "injection_to_reference_s"
            if not np.isfinite(value) or value < 0 or (value == 0 and not least_is_zero):
                msg = f"expected {field.name} above 0, got {value}"
                raise InputError(msg)
            low, high = RANGES.get(field.name, (0.0, np.inf))
            if not low <= value <= high:
                msg = f"expected {field.name} of {low:g} to {high:g}, got {value:g}; mind its unit"
                raise InputError(msg)
        if self.patient_sex not in {None, "F", "M"}:
            msg = f"expected patient_sex F or M, got {self.patient_sex}"
            raise InputError(msg)
        if self.decay_correction not in {None, "START", "ADMIN", "NONE"}:
            msg = f"expected decay_correction START, ADMIN or NONE, got {self.decay_correction}"
            raise InputError(msg)

    @property
    def given(self) -> dict[str, float | str]:
        """The facts that are supplied, by name."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in pairs if value is not None}


def supply_facts(image: Image, facts: SuppliedFacts) -> tuple[Image, tuple[Finding, ...]]:
    """Put a user's facts in place of the header's.

    Parameters
    ----------
    image : Image
        PET as read.
    facts : SuppliedFacts
        What the user says.

    Returns
    -------
    Image
        With the facts in its acquisition, named in ``supplied``; values in counts become Bq/ml
        if their scale is supplied.
    tuple of Finding
        One for each fact: what the header said and what is used.

    Raises
    ------
    MissingDataError
        If the image carries no acquisition at all.
    InputError
        If a scale of counts is supplied for an image that is not in counts.
    """
    given = facts.given
    if not given:
        return image, ()
    if image.pet is None:
        msg = "expected a PET with its acquisition, got an image without; read it from DICOM"
        raise MissingDataError(msg)
    given.pop("bqml_per_unit", None)
    scale = facts.bqml_per_unit
    findings = [_finding(name, getattr(image.pet, name), value) for name, value in given.items()]
    changed: dict[str, Any] = {**given, "supplied": (*image.pet.supplied, *given)}
    pet = replace(image.pet, **changed)
    if scale is None:
        return replace(image, pet=pet), tuple(findings)
    if image.unit is not ImageUnit.COUNTS:
        msg = (
            f"expected an image in counts to scale to Bq/ml, got {image.unit}; leave the scale out"
        )
        raise InputError(msg)
    findings.append(_finding("bqml_per_unit", None, scale))
    pet = replace(pet, supplied=(*pet.supplied, "bqml_per_unit"))
    values = image.values.astype(np.float32) * np.float32(scale)
    return replace(image, values=values, unit=ImageUnit.BQML, pet=pet), tuple(findings)


def _finding(name: str, was: object, value: object) -> Finding:
    """Say what is used in place of what."""
    is_changed = was not in (None, "") and was != value
    said = f"the header says {was}" if was not in (None, "") else "the header does not say"
    text = f"{name} = {value} is supplied by the user ({said})"
    severity = Severity.CAUTION if is_changed else Severity.NOTE
    return Finding(severity, "suv-fact-supplied", text, name)
