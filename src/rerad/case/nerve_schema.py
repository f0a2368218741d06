"""What a case or a recipe says about nerves: which, along what, how finely the scanners see."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from rerad.case.history_schema import Strict
from rerad.errors import InputError

Width = Annotated[float, Field(ge=0, le=30)]
Point = tuple[float, float, float]
Clicked = Annotated[tuple[Point, ...], Field(min_length=2)]
Clicks = Mapping[str, tuple[Point, ...]]
"""Points (x, y, z) in mm in the planning CT's frame, from the spine outwards, by path."""

Tissue = Literal["muscle", "blood pool", "liver"]
"""What uptake can be compared with."""


class NervesTable(Strict):
    """Nerves to measure; every number is the clinic's own, none has a default."""

    ct_fwhm_mm: tuple[Width, Width, Width] = Field(
        description="Point spread of the CT along x, y, z, without the voxels (full width at "
        "half maximum)"
    )
    ct_fwhm_sd_mm: Width = Field(
        default=0.0,
        description="How sure that is; 0 leaves it out of the diameters' uncertainty",
    )
    pet_fwhm_mm: tuple[Width, Width, Width] | None = Field(
        default=None, description="Point spread of the PET as reconstructed; needed with a PET"
    )
    pet_fwhm_sd_mm: Width | None = Field(
        default=None, description="How sure that is; needed with a PET"
    )
    track_on: Literal["CT", "MR"] = Field(
        default="CT", description="Image on which paths are tracked between clicks"
    )
    roots: dict[str, str] = Field(
        default_factory=dict,
        description="Name of the path, such as L5_R, and the structure that it is drawn as",
    )
    references: dict[Tissue, tuple[str, ...]] = Field(
        default_factory=dict,
        description='Tissue (muscle, "blood pool", liver) and the structures counted together',
    )
    clicks: dict[str, Clicked] = Field(
        default_factory=dict,
        description="Name of the path and points [x, y, z] on it in mm, from the spine outwards; "
        "it is tracked between them instead of along contours",
    )
    bone_points: dict[str, Point] = Field(
        default_factory=dict,
        description="Points [x, y, z] in mm on bones, such as foramen_L5_R, for a first proposal "
        "of the paths that are neither drawn nor clicked",
    )


def nerves_of(table: Mapping[str, Any]) -> NervesTable:
    """Read the table ``[nerves]`` of a recipe.

    Raises
    ------
    InputError
        With the first key that is unknown, missing or wrong.
    """
    try:
        return NervesTable.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        where = f"[nerves] {key}" if key else "[nerves]"
        if first["type"] == "extra_forbidden":
            known = ", ".join(NervesTable.model_fields)
            msg = f"{where}: unknown key, expected {known}"
        elif first["type"] == "missing":
            msg = f"{where}: is missing; state it"
        else:
            msg = f"{where}: {first['msg']}, got {first.get('input')!r}"
        raise InputError(msg) from error


def clicks_from_words(words: Sequence[str]) -> dict[str, tuple[Point, ...]]:
    """Read clicked points from the command line: ``L5_R=x,y,z`` once for each point, in order.

    Raises
    ------
    InputError
        If a word is not of that form, or a path has fewer than two points.
    """
    table: dict[str, list[Point]] = {}
    for word in words:
        name, _, numbers = word.partition("=")
        try:
            x, y, z = (float(v) for v in numbers.split(","))
        except ValueError:
            name, x, y, z = "", 0.0, 0.0, 0.0
        if not name or not np.all(np.isfinite([x, y, z])):
            msg = f"--click: expected NAME=x,y,z in mm such as L5_R=-38,22,101, got {word}"
            raise InputError(msg)
        table.setdefault(name, []).append((x, y, z))
    for name, points in table.items():
        if len(points) < 2:
            msg = f"--click {name}: expected two points or more, got {len(points)}; click again"
            raise InputError(msg)
    return {name: tuple(points) for name, points in table.items()}
