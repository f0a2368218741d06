"""What the report says about how well the images of earlier courses fit today's."""

import numpy as np

from rerad.core import RigidTransform
from rerad.planning.result import CaseResult, PriorCourse
from rerad.registration import DeformableQuality, RegistrationQuality
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
    if not prior.is_mapped and prior.is_assured:
        text = f"{prior.course.name} shares today's frame of reference: not registered."
        return [Paragraph(text), *_said(prior)]
    blocks: list[Block] = []
    quality = prior.registration
    if quality is not None:
        blocks.append(_rigid_table(prior, quality, index, target, citations))
    elif prior.is_mapped:
        text = f"The CT of {prior.course.name} was mapped by the DICOM registration as given."
        blocks.append(Paragraph(text))
    blocks += [*_further_tables(prior, index, citations), *_said(prior)]
    if prior.is_mapped:
        how = "mapped deformably" if prior.deformation is not None else "mapped"
        blocks.append(
            Picture(
                f"registration_{index}",
                f"Today's CT, the CT of {prior.course.name} {how} onto it, both as a checkerboard "
                "(tinted: earlier CT), and the bone edges of the earlier CT (amber) on today's: "
                "axial and sagittal through the target.",
                "Checkerboard and bone edges of two registered CTs",
            )
        )
    if prior.deformation is not None:
        blocks.append(
            Picture(
                f"deformable_{index}",
                f"The deformation of {prior.course.name}: above, both CTs as a checkerboard, in "
                "which edges must run on; below, its Jacobian: red where tissue was squeezed, "
                "blue where it was stretched.",
                "Checkerboard and Jacobian of a deformable registration",
            )
        )
    return blocks


def _said(prior: PriorCourse) -> list[Block]:
    """Findings about one registration."""
    items = tuple(
        FindingItem(f.severity, f.where, typeset(f.text), f.code) for f in prior.findings
    )
    return [FindingList(items)] if items else []


def _further_tables(prior: PriorCourse, index: int, citations: Citations) -> list[Block]:
    """What landmarks and a deformable registration measured."""
    header = (Cell("Measure"), Cell("Found"), Cell("Asked for"), Cell(""))
    align = (Align.LEFT, Align.RIGHT, Align.RIGHT, Align.CENTER)
    widths = (3.4, 1.2, 1.2, 1.2)
    blocks: list[Block] = []
    if prior.deformable is not None:
        found = prior.deformable
        used = "used" if prior.deformation is not None else "not used"
        note = f"Thresholds: {citations.mark(found.citation)}."
        title = f"CT of {prior.course.name} onto today's CT: deformable, {used}"
        rows = _deformable_rows(found)
        blocks.append(Table(f"deformable_{index}", title, header, rows, align, widths, note))
    if prior.landmarks is not None:
        fit = prior.landmarks
        none, blank = Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED), Cell("")
        rows = (
            (
                Cell("Mean distance"),
                Cell(f"{number(fit.mean_mm, 1)} mm"),
                Cell(f"≤ {number(fit.max_mean_mm, 1)} mm"),
                _fit_cell(fit.is_acceptable),
            ),
            *(
                (Cell(name), Cell(f"{number(distance, 1)} mm"), none, blank)
                for name, distance in fit.distances_mm
            ),
        )
        note = f"Threshold: {citations.mark(fit.citation)}."
        title = f"Landmarks on the CT of {prior.course.name} and today's"
        blocks.append(Table(f"landmarks_{index}", title, header, rows, align, widths, note))
    return blocks


def _deformable_rows(found: DeformableQuality) -> tuple[tuple[Cell, ...], ...]:
    """Measures of a displacement field."""
    none, blank = Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED), Cell("")
    back = number(found.inverse_median_mm, 1)
    span = f"{number(found.jacobian_min, 2)} to {number(found.jacobian_max, 2)}"
    return (
        (
            Cell("Voxels of the body that fold"),
            Cell(str(found.n_folded)),
            Cell("0"),
            _fit_cell(found.n_folded == 0),
        ),
        (Cell("Jacobian"), Cell(span), none, blank),
        (Cell("There and back, median"), Cell(f"{back} mm"), none, blank),
        *(
            (Cell(f"Dice of {name}"), Cell(number(value, 2)), none, blank)
            for name, value in found.guide_dice
        ),
        *(
            (Cell(f"Surfaces of {name}, mean"), Cell(f"{number(value, 1)} mm"), none, blank)
            for name, value in found.guide_surface_mm
        ),
    )


def _rigid_table(
    prior: PriorCourse,
    quality: RegistrationQuality,
    index: int,
    target: tuple[float, float, float],
    citations: Citations,
) -> Table:
    """Measures of a registration by bones."""
    return Table(
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
    found = (
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
    )
    if transform.from_frame_uid == transform.to_frame_uid:  # not assured, so not used
        return found
    return (
        *found,
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
