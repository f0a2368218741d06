"""What a case or a recipe says about its PET in place of the header."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from rerad.case.history_schema import Strict
from rerad.errors import InputError
from rerad.pet import SuppliedFacts

BQ_PER_MBQ = 1e6
S_PER_MIN = 60.0

Positive = Annotated[float, Field(gt=0)]


class PetTable(Strict):
    """Facts of the PET that its header does not give, or gives wrongly; each becomes a finding."""

    weight_kg: Positive | None = Field(default=None, description="Body weight")
    injected_activity_mbq: Positive | None = Field(
        default=None, description="Activity at injection, less what stayed in the syringe"
    )
    half_life_s: Positive | None = Field(default=None, description="Of the nuclide")
    uptake_time_min: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="From injection to the moment that the image is decay-corrected to",
    )
    decay_correction: Literal["START", "ADMIN", "NONE"] | None = Field(
        default=None, description="What the image is decay-corrected to"
    )
    bqml_per_unit: Positive | None = Field(
        default=None, description="Bq/ml of one unit of an image in counts"
    )


def facts_of(table: PetTable | None) -> SuppliedFacts:
    """Return the facts that replace the header's.

    Raises
    ------
    InputError
        If a number cannot be what its key says.
    """
    if table is None:
        return SuppliedFacts()
    activity, uptake = table.injected_activity_mbq, table.uptake_time_min
    return SuppliedFacts(
        patient_weight_kg=table.weight_kg,
        injected_activity_bq=None if activity is None else activity * BQ_PER_MBQ,
        half_life_s=table.half_life_s,
        injection_to_reference_s=None if uptake is None else uptake * S_PER_MIN,
        decay_correction=table.decay_correction,
        bqml_per_unit=table.bqml_per_unit,
    )


def pet_table_of(table: Mapping[str, Any]) -> PetTable:
    """Read the table ``[pet]`` of a recipe.

    Raises
    ------
    InputError
        With the first key that is unknown or wrong.
    """
    try:
        return PetTable.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(PetTable.model_fields)
        msg = f"[pet] {key}: {first['msg']}, got {first.get('input')!r}; the keys are {known}"
        raise InputError(msg) from error
