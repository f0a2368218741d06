"""What the report says about how well the images of earlier courses fit today's."""

import numpy as np

from rerad.core import RigidTransform
from rerad.planning.result import CaseResult, PriorCourse
from rerad.registration import RegistrationQuality
from rerad.reporting.document import (
    Align,
    Block,
    Cell,
    Emphasis,
    FindingItem,
    FindingList,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.planes import target_point
from rerad.reporting.wording import NOT_APPLICABLE, Citations, number, typeset


def registration_section(result: CaseResult, citations: Citations) -> Section:
    """Return the fit of each earlier course, in numbers and in a picture."""
    blocks: list[Block] = []
    for index, prior in enumerate(result.priors, 1):
        blocks.extend(_course_blocks(prior, index, target_point(result), citations))
    if not result.priors:
        blocks.append(Paragraph("No earlier course has images to register."))
    return Section("registration", "Registration", tuple(blocks))


def _course_blocks(
    prior: PriorCourse,
    index: int,
    target: tuple[float, float, float],
    citations: Citations,
) -> list[Block]:
    """Table, findings and picture of one course."""
    quality = prior.registration
    if quality is None:
        text = f"{prior.course.name} shares today's frame of reference: not registered."
        return [Paragraph(text)]
    blocks: list[Block] = [
        Table(
            key=f"registration_{index}",
            title=f"CT of {prior.course.name} onto today's CT: rigid, driven by bone",
            header=(Cell("Measure"), Cell("Found"), Cell("Asked for"), Cell("")),
            rows=_rows(quality, prior.transform, target),
            align=(Align.LEFT, Align.RIGHT, Align.RIGHT, Align.CENTER),
            widths=(3.4, 1.2, 1.2, 1.2),
            note=(
                "Bone fits do not show that bowel, bladder or nerves lie where they lay: a person "
                f"must look at the picture. Thresholds: {citations.mark(quality.citation)}."
            ),
        )
    ]
    if quality.findings:
        items = tuple(
            FindingItem(f.severity, f.where, typeset(f.text), f.code) for f in quality.findings
        )
        blocks.append(FindingList(items))
    blocks.append(
        Picture(
            f"registration_{index}",
            f"Today's CT, the CT of {prior.course.name} mapped onto it, both as a checkerboard "
            "(tinted: earlier CT), and the bone edges of the earlier CT (amber) on today's: "
            "axial and sagittal through the target.",
            "Checkerboard and bone edges of two registered CTs",
        )
    )
    return blocks


def _rows(
    quality: RegistrationQuality,
    transform: RigidTransform,
    target: tuple[float, float, float],
) -> tuple[tuple[Cell, ...], ...]:
    """Measures with their thresholds, then what the transform does."""
    none = Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED)
    blank = Cell("")
    moved = np.asarray(target) - transform.inverse().apply(target)
    shift = " / ".join(number(float(v), 1) for v in moved)
    return (
        (
            Cell("Mean distance of bone surfaces"),
            Cell(f"{number(quality.mean_surface_mm, 2)} mm"),
            Cell(f"≤ {number(quality.max_mean_surface_mm, 2)} mm"),
            _fit_cell(quality.mean_surface_mm <= quality.max_mean_surface_mm),
        ),
        (
            Cell("Dice coefficient of bone"),
            Cell(number(quality.bone_dice, 3)),
            Cell(f"≥ {number(quality.min_bone_dice, 2)}"),
            _fit_cell(quality.bone_dice >= quality.min_bone_dice),
        ),
        (
            Cell("95th percentile of the surface distance"),
            Cell(f"{number(quality.surface_95_mm, 2)} mm"),
            none,
            blank,
        ),
        (Cell("Correlation of bone contrast"), Cell(number(quality.metric, 3)), none, blank),
        (
            Cell("Share of today's bone that the earlier CT shows"),
            Cell(f"{number(100 * quality.bone_overlap, 0)} %"),
            none,
            blank,
        ),
        (
            Cell("Rotation, whole angle"),
            Cell(f"{number(rotation_deg(transform), 1)}°"),
            none,
            blank,
        ),
        (Cell("Shift of the point at the target, x / y / z"), Cell(f"{shift} mm"), none, blank),
    )


def _fit_cell(is_met: bool) -> Cell:
    return Cell("met", "", Emphasis.MET) if is_met else Cell("not met", "", Emphasis.EXCEEDED)


def rotation_deg(transform: RigidTransform) -> float:
    """Return the angle of a rotation about its own axis, in degrees."""
    trace = float(np.trace(transform.matrix[:3, :3]))
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))
