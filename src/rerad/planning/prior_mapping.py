"""How an earlier course comes onto today's CT, and whether its dose may be added there.

One frame needs no registration. Else the registration that the case gives is used, rigid or
deformable; or the two CTs are registered here by their bones, and deformably on top of that if
the case asks for it. Landmarks and structures drawn on both CTs judge whatever is used. Where it
is not assured, nothing is mapped: the highest dose of each organ in the course's own structures
takes its place (`bounded_by_own_points`).
"""

from dataclasses import dataclass, replace

import numpy as np

from rerad.core import (
    DisplacementField,
    Dose,
    Finding,
    Grid,
    Mask,
    RecordGrade,
    RigidTransform,
    Severity,
    StructureKind,
    Study,
    Transform,
)
from rerad.errors import FrameMismatchError, InputError, RegistrationError
from rerad.evaluation import dvh
from rerad.planning.inputs import PlanningInputs, PriorInput, Progress, external_of
from rerad.planning.reconstruct import bound_from_points
from rerad.planning.result import NOT_ASSURED
from rerad.radiobiology import dose_contradicts_record
from rerad.registration import (
    DeformableQuality,
    LandmarkFit,
    RegistrationQuality,
    assess_deformable,
    landmark_fit,
    register_deformable,
    register_rigid,
)
from rerad.structures import rasterize

JUDGED_MM = 3.0
"""Voxels on which structures of both CTs are compared."""

Pairs = list[tuple[Mask, Mask]]


@dataclass(frozen=True, eq=False, slots=True)
class PriorMap:
    """The map of an earlier course, and how good it is.

    Parameters
    ----------
    transform : RigidTransform, DisplacementField or None
        From the course's frame to today's; None if doses may not be added on it.
    rigid : RegistrationQuality or None
        Of a rigid registration made here.
    deformable : DeformableQuality or None
        Of a displacement field.
    landmarks : LandmarkFit or None
        At the landmarks of the case.
    findings : tuple of Finding
        What the reader must weigh.
    start : RigidTransform or None
        A rigid transform made here that is not good enough to sum doses on; a deformable
        registration may start from it.
    """

    transform: Transform | None
    rigid: RegistrationQuality | None = None
    deformable: DeformableQuality | None = None
    landmarks: LandmarkFit | None = None
    findings: tuple[Finding, ...] = ()
    start: RigidTransform | None = None


def map_prior(prior: PriorInput, inputs: PlanningInputs, progress: Progress) -> PriorMap:
    """Find the map of an earlier course and judge it, and whether its dose fits its record.

    Parameters
    ----------
    prior : PriorInput
        With what the case says of its registration.
    inputs : PlanningInputs
        Today's CT and structures.
    progress : callable
        Told what is done.

    Returns
    -------
    PriorMap

    Raises
    ------
    FrameMismatchError
        If a given registration leads between other frames.
    InputError
        If a structure that shall guide is not drawn on both CTs.
    """
    found = _mapped(prior, inputs, progress)
    dose = prior.study.dose
    doubt = None if dose is None else dose_contradicts_record(prior.course, dose.max_gy)
    return found if doubt is None else replace(found, findings=(*found.findings, doubt))


def _mapped(prior: PriorInput, inputs: PlanningInputs, progress: Progress) -> PriorMap:
    """Find the map by what the case says."""
    here, there = inputs.image.grid.frame_uid, prior.study.image.grid.frame_uid
    given, name = prior.mapping.given, prior.course.name
    if here == there:
        found = PriorMap(RigidTransform.identity(here))
    elif given is not None:
        if (given.from_frame_uid, given.to_frame_uid) != (there, here):
            msg = (
                f"{name}: expected a registration from frame {there} to {here}, got one from "
                f"{given.from_frame_uid} to {given.to_frame_uid}; give the one of its CT"
            )
            raise FrameMismatchError(msg)
        found = _as_given(prior, inputs, given)
    else:
        found = _registered(prior, inputs, progress)
    if prior.mapping.is_deformable and here != there:
        progress(f"registering the CT of {name} deformably", 0.3)
        found = _deformed(prior, inputs, found, progress)
    if not prior.mapping.landmarks or found.transform is None:
        return found
    return _at_landmarks(found, prior)


def _registered(prior: PriorInput, inputs: PlanningInputs, progress: Progress) -> PriorMap:
    """Register by bones; where that fails or is not good enough, say why."""
    name = prior.course.name
    progress(f"registering the CT of {name}", 0.0)
    try:
        result = register_rigid(prior.study.image, inputs.image, seed=inputs.settings.seed)
    except RegistrationError as error:
        return PriorMap(None, findings=(_not_assured(name, str(error)),))
    if result.quality.is_acceptable:
        return PriorMap(result.transform, result.quality, findings=result.quality.findings)
    reasons = " ".join(finding.text for finding in result.quality.findings)
    why = f"the registration of its CT to today's is not good enough to sum doses on. {reasons}"
    said = (_not_assured(name, why),)
    return PriorMap(None, result.quality, findings=said, start=result.transform)


def _not_assured(name: str, why: str) -> Finding:
    text = (
        f"{name}: {why.rstrip('.')}. Its dose is not mapped voxel by voxel; the highest dose of "
        "each organ in the course's own structures takes its place, an upper bound where the "
        "organ is drawn for both; elsewhere it is unknown. Check that both CTs show the same "
        "bones, or give a registration"
    )
    return Finding(Severity.SERIOUS, NOT_ASSURED, f"{text}.", name)


def _as_given(prior: PriorInput, inputs: PlanningInputs, given: Transform) -> PriorMap:
    """Take a registration as it is; a field that folds is refused all the same."""
    name = prior.course.name
    if isinstance(given, RigidTransform):
        said = () if prior.mapping.landmarks else (as_given(name),)
        return PriorMap(given, findings=said)
    _, judges = _guides_and_judges(prior, inputs)
    quality = _judged(prior, inputs, (given, None), judges)
    if any(item.code == "deformable-not-acceptable" for item in quality.findings):
        why = "the deformable registration that was given is not assured"
        return PriorMap(
            None, deformable=quality, findings=(_not_assured(name, why), *quality.findings)
        )
    said = (_quality_note(name, quality),)
    if quality.is_acceptable:
        return PriorMap(given, deformable=quality, findings=said)
    return PriorMap(given, deformable=quality, findings=(*said, as_given(name)))


def as_given(name: str) -> Finding:
    """Say that a course was mapped by a registration whose quality was not measured."""
    text = (
        f"{name} was mapped by the DICOM registration as given; its quality was not measured "
        "here, so look at both CTs, or give landmarks."
    )
    return Finding(Severity.CAUTION, "registration-as-given", text, name)


def _deformed(
    prior: PriorInput, inputs: PlanningInputs, found: PriorMap, progress: Progress
) -> PriorMap:
    """Register deformably on top of what was found; keep the field only if it is assured.

    Bones that bend between two visits fail the rigid thresholds; a rigid transform that is not
    assured may still be near enough to start from, and the field is judged by its own.
    """
    if isinstance(found.transform, DisplacementField):
        return found
    start: Transform | None = found.transform or found.start
    if start is None and prior.mapping.given is not None:  # a field that was given and refused
        own = _registered(prior, inputs, progress)
        start = own.transform or own.start
    if not isinstance(start, RigidTransform):
        return found
    moving, fixed = prior.study.image, inputs.image
    guides, judges = _guides_and_judges(prior, inputs)
    field = register_deformable(moving, fixed, start, guides=guides)
    back = register_deformable(
        fixed, moving, start.inverse(), guides=[(here, there) for there, here in guides]
    )
    quality = _judged(prior, inputs, (field, back), judges)
    note = _quality_note(prior.course.name, quality)
    if not quality.is_acceptable:
        said = (*found.findings, note, *quality.findings)
        return replace(found, deformable=quality, findings=said)
    # What failed the rigid thresholds is no longer what the sum rests on.
    kept = tuple(item for item in found.findings if item.code != NOT_ASSURED)
    return replace(found, transform=field, deformable=quality, findings=(*kept, note))


def _judged(
    prior: PriorInput,
    inputs: PlanningInputs,
    there_and_back: tuple[DisplacementField, DisplacementField | None],
    judges: Pairs,
) -> DeformableQuality:
    """Measure a field within the body, at structures that did not lead it and at landmarks."""
    field, back = there_and_back
    body = rasterize(external_of(inputs.structures), field.grid)
    landmarks = [(item.earlier_mm, item.today_mm) for item in prior.mapping.landmarks]
    return assess_deformable(field, body, backward=back, landmarks_mm=landmarks, guides=judges)


def _quality_note(name: str, quality: DeformableQuality) -> Finding:
    pairs = zip(quality.guide_dice, quality.guide_surface_mm, strict=True)
    dice = ", ".join(f"{organ} {value:.2f} ({mm:.1f} mm)" for (organ, value), (_, mm) in pairs)
    inverse = quality.inverse_median_mm
    text = (
        f"{name} registered deformably: Jacobian {quality.jacobian_min:.2f} to "
        f"{quality.jacobian_max:.2f}, {quality.n_folded} voxels fold, there and back "
        f"{'unknown' if inverse is None else f'{inverse:.1f} mm'} (median); "
        f"Dice (mean distance of surfaces) {dice or '-'}."
    )
    return Finding(Severity.NOTE, "deformable-quality", text, name)


def _at_landmarks(found: PriorMap, prior: PriorInput) -> PriorMap:
    """Measure a map at the landmarks of the case; beyond the threshold nothing is mapped."""
    if found.transform is None:  # excluded by the caller
        raise AssertionError(prior.course.name)
    name = prior.course.name
    fit = landmark_fit(found.transform, prior.mapping.landmarks)
    worst, farthest = fit.farthest
    n = len(fit.distances_mm)
    text = (
        f"{n} landmarks lie {fit.mean_mm:.1f} mm apart on average (at most {fit.max_mean_mm:g} "
        f"mm), {worst} {farthest:.1f} mm"
    )
    if n == 1:
        text = f"{worst} lies {farthest:.1f} mm off (at most {fit.max_mean_mm:g} mm)"
    if fit.is_acceptable:
        note = Finding(Severity.NOTE, "landmarks", f"{text}.", name)
        return replace(found, landmarks=fit, findings=(*found.findings, note))
    why = f"{text}: the registration is not assured"
    said = (_not_assured(name, why), *found.findings)
    return replace(found, transform=None, landmarks=fit, findings=said)


def _guides_and_judges(prior: PriorInput, inputs: PlanningInputs) -> tuple[Pairs, Pairs]:
    """Return the structures that lead a registration, and those that judge it."""
    shared = shared_structures(prior, inputs)
    wanted = prior.mapping.guides
    missing = [name for name in wanted if name not in shared]
    if missing:
        msg = (
            f"{prior.course.name}: {', '.join(missing)} cannot guide the registration, because it "
            f"is not drawn on both CTs; these are: {', '.join(shared) or 'none'}"
        )
        raise InputError(msg)
    guides = [shared[name] for name in wanted]
    return guides, [pair for name, pair in shared.items() if name not in wanted]


def shared_structures(prior: PriorInput, inputs: PlanningInputs) -> dict[str, tuple[Mask, Mask]]:
    """Return the organs drawn on both CTs under one name, each on its own CT's box."""
    there = prior.study.structures
    if there is None:
        return {}
    spacing = (JUDGED_MM,) * 3
    here_grid = inputs.image.grid.with_spacing(spacing)
    there_grid = prior.study.image.grid.with_spacing(spacing)
    return {
        name: (rasterize(there[name], there_grid), rasterize(inputs.structures[name], here_grid))
        for name in _shared_organs(prior, inputs)
    }


def _shared_organs(prior: PriorInput, inputs: PlanningInputs) -> list[str]:
    """Return the names of organs that are drawn today and for the course."""
    there = prior.study.structures
    outline = external_of(inputs.structures).name
    skipped = {StructureKind.SUPPORT, StructureKind.EXTERNAL}
    return [
        item.name
        for item in inputs.structures.structures
        if there is not None
        and not item.kind.is_target
        and item.kind not in skipped
        and item.name != outline
        and not item.is_empty
        and item.name in there
        and not there[item.name].is_empty
    ]


def bounded_by_own_points(prior: PriorInput, inputs: PlanningInputs, grid: Grid) -> PriorInput:
    """Return a course whose dose is a bound: of each organ the highest in its own structure.

    Parameters
    ----------
    prior : PriorInput
        Whose map is not assured.
    inputs : PlanningInputs
        Today's structures.
    grid : Grid
        Today's dose grid.

    Returns
    -------
    PriorInput
        In today's frame, of grade ``DVH_OR_POINTS``; unknown outside the organs that are drawn
        for both, and everywhere if there is none or its own dose grid cuts the organ.
    """
    dose, own = prior.study.dose, prior.study.structures
    highest: list[tuple[Mask, float]] = []
    if dose is not None and own is not None:
        for name in _shared_organs(prior, inputs):
            found = dvh(dose, own[name], end_slab=inputs.settings.end_slab)
            if found.is_complete:
                highest.append((rasterize(inputs.structures[name], grid), found.max_gy))
    bound = Dose(np.full(grid.shape, np.nan), grid)
    if highest:
        bound = bound_from_points(prior.course, highest, grid, "own structures").upper
    uid = "" if dose is None else dose.instance_uid
    return PriorInput(
        replace(prior.course, grade=RecordGrade.DVH_OR_POINTS),
        Study(inputs.image, structures=inputs.structures, plan=prior.study.plan,
              dose=replace(bound, instance_uid=uid)),
        prior.interval_months,
    )  # fmt: skip
