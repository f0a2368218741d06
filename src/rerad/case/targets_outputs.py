"""What a run of ``rerad target`` writes: the RTSTRUCT, and every step and number as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rerad import __version__, dicom
from rerad.case.fusion import FusedImage, fusion_rows
from rerad.case.nerve_schema import NervesTable
from rerad.case.nerve_study import NerveScan
from rerad.case.pet_proposals import ProposedOutline, outline_rows
from rerad.core import (
    Finding,
    Image,
    NervePath,
    PathSource,
    Patient,
    StructureKind,
    StructureSet,
)
from rerad.nerves import NerveComparison
from rerad.structures import contours_from_mask
from rerad.targets import Recipe, Step, TargetVolumes

OUTLINES_NAME = "RTSTRUCT_proposals.dcm"
"""Outlines proposed on PET."""

PROPOSAL_NAME = "proposed_clicks.toml"
"""Paths from bone points, to be corrected."""

POINTS_MM = 12.0
"""Distance of the points that a proposal is written with."""

RTSTRUCT_NAME = "RTSTRUCT_targets.dcm"
"""The volumes."""

COLORS: Mapping[StructureKind, tuple[int, int, int]] = {
    StructureKind.GTV: (220, 30, 30),
    StructureKind.CTV: (240, 200, 30),
    StructureKind.PTV: (90, 160, 250),
}
"""Display colours by kind."""


@dataclass(frozen=True, eq=False, slots=True)
class TargetPatient:
    """What was read."""

    image: Image
    structures: StructureSet
    patient: Patient
    pet_suv: Image | None
    mr: Image | None
    findings: tuple[Finding, ...]
    fused: Mapping[str, FusedImage] = field(default_factory=dict)
    nerves: NervesTable | None = None

    @property
    def scan(self) -> NerveScan:
        """What nerves are measured on."""
        return NerveScan(self.image, self.structures, self.pet_suv, self.mr)


@dataclass(frozen=True, eq=False, slots=True)
class TargetReport:
    """What was made and where it is.

    Parameters
    ----------
    folder : Path
        Everything.
    volumes : TargetVolumes
        The targets.
    comparisons : tuple of NerveComparison
        Every root measured.
    findings : tuple of Finding
        What to weigh.
    seconds : mapping of str to float
        Of each part.
    fused : mapping of str to FusedImage
        How PET and MR got into the planning CT's frame.
    paths : tuple of NervePath
        Centre lines, before the diameter fit moved them.
    outlines : mapping of str to ProposedOutline
        Proposed on PET; no targets.
    """

    folder: Path
    volumes: TargetVolumes
    comparisons: tuple[NerveComparison, ...]
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float]
    fused: Mapping[str, FusedImage] = field(default_factory=dict)
    paths: tuple[NervePath, ...] = ()
    outlines: Mapping[str, ProposedOutline] = field(default_factory=dict)


def write_proposals(
    outlines: Mapping[str, ProposedOutline], who: TargetPatient, folder: Path
) -> None:
    """Write proposed outlines as an RTSTRUCT of their own, so that none passes for a target."""
    if not outlines:
        return
    label = "Proposals"
    drawn = StructureSet(label, tuple(one.structure for one in outlines.values()))
    header = dicom.StudyHeader(who.image.study_uid, study_description="Proposals, not accepted")
    dicom.write_structure_set(drawn, who.image, who.patient, folder / OUTLINES_NAME, study=header)


def write_target_structures(
    recipe: Recipe, volumes: TargetVolumes, who: TargetPatient, folder: Path
) -> StructureSet:
    """Write the volumes as an RTSTRUCT on the planning CT and return them as written."""
    drawn = tuple(
        contours_from_mask(
            mask.fraction >= 0.5,
            mask.grid,
            name=name,
            kind=mask.kind,
            color=COLORS.get(mask.kind, (150, 150, 150)),
        )
        for name, mask in volumes.masks.items()
    )
    header = dicom.StudyHeader(who.image.study_uid, study_description=recipe.label[:64])
    return dicom.write_structure_set(
        StructureSet(recipe.label, drawn),
        who.image,
        who.patient,
        folder / RTSTRUCT_NAME,
        study=header,
    )


def target_summary(report: TargetReport, recipe_path: Path) -> dict[str, Any]:
    """Return a report as plain values for JSON; unknown is None."""
    steps = [
        {
            **{k: v for k, v in _step_row(record.step).items() if v},
            "volumes_before_cc": [round(v, 4) for v in record.volumes_before_cc],
            "volume_cc": round(record.volume_cc, 4),
        }
        for record in report.volumes.records
    ]
    return {
        "status": "done",
        "rerad_version": __version__,
        "recipe": recipe_path.name,
        "steps": steps,
        "images": fusion_rows(report.fused),
        "paths": path_rows(report.paths),
        "nerves": [nerve_row(c) for c in report.comparisons],
        "proposals": outline_rows(report.outlines),
        "findings": [asdict(f) for f in report.findings],
        "seconds": dict(report.seconds),
        "files": {"structure_set": RTSTRUCT_NAME},
    }


def _step_row(step: Step) -> dict[str, Any]:
    """Return a step as plain values."""
    return {
        "name": step.name,
        "kind": step.kind.name,
        "operation": step.operation,
        "of": list(step.of),
        "numbers": dict(step.numbers),
        "cut_at": list(step.cut_at),
        "along": list(step.along),
        "accepted_by": step.accepted_by,
    }


def path_rows(paths: Iterable[NervePath]) -> dict[str, Any]:
    """Return where each centre line comes from, as plain values; a proposal with its points."""
    rows: dict[str, Any] = {}
    for path in paths:
        row: dict[str, Any] = {"from": str(path.source)}
        row["uncertainty_mm"] = _number(path.uncertainty_mm)
        if path.source is PathSource.LANDMARKS:
            places = np.linspace(
                0.0, path.length_mm, max(2, round(path.length_mm / POINTS_MM) + 1)
            )
            row["points_mm"] = np.round(path.at(places), 1).tolist()
        rows[path.name] = row
    return rows


def proposal_text(paths: Iterable[NervePath]) -> str:
    """Return proposed paths as a table of clicks that a person can correct and take over."""
    lines = [
        "# First proposal from bone points: not validated. Look at every point, correct it, and",
        "# only then put the table into the case file or the recipe.",
        "[nerves.clicks]",
    ]
    for name, row in path_rows(paths).items():
        lines.append(f"{name} = {json.dumps(row['points_mm'])}")
    return "\n".join(lines) + "\n"


def nerve_row(c: NerveComparison) -> dict[str, Any]:
    """Return a measured root as plain values; unknown is None."""
    return {
        "name": c.name,
        "is_flagged": c.is_flagged,
        "is_validated": False,
        "diameter_mm": _number(c.diameter.value),
        "diameter_sd_mm": _number(c.diameter.sd),
        "diameter_from_contours": c.is_diameter_contoured,
        "other_side_mm": _number(c.other_diameter.value),
        "z": _number(c.z),
        "suv_recovered": _number(c.uptake.value),
        "suv_sd": _number(c.uptake.sd),
        "suv_claimed": c.is_uptake_claimed,
        "suv_observed": _number(c.observed_uptake),
        "suv_other_side": _number(c.other_uptake.value),
        "ratios": {name: _number(v) for name, v in c.ratios},
        "rules": [
            {"rule": o.rule, "verdict": str(o.verdict), "text": o.text, "citation": o.citation}
            for o in c.outcomes
        ],
    }


def _number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
