"""From clinical goals to objectives: what the optimiser is asked for, voxel by voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Finding, Grid, Mask, Prescription, Severity
from rerad.optimize import (
    CumulativeMean,
    CumulativeOverdose,
    DoseCap,
    DoseTerm,
    Overdose,
    Underdose,
    falloff_threshold,
)
from rerad.planning.caps import FREE_GY, corner_findings, held_doses_gy, prior_readings
from rerad.planning.caps import CapCorner as CapCorner
from rerad.planning.caps import OrganCap as OrganCap
from rerad.planning.caps import PhysicalCap as PhysicalCap
from rerad.planning.inputs import ObjectiveSettings
from rerad.planning.points import Points
from rerad.structures import distance_from


@dataclass(frozen=True, eq=False, slots=True)
class Anatomy:
    """What the objectives are drawn on.

    Parameters
    ----------
    grid : Grid
        Dose grid.
    masks : mapping of str to Mask
        Structures on crops of `grid`.
    body : Mask
        Outline of the patient.
    prescriptions : tuple of Prescription
        Highest dose first.
    target_distance_mm : tuple of ndarray, each of shape (K, J, I)
        Distance from each prescribed target, in the same order; 0 inside.
    """

    grid: Grid
    masks: Mapping[str, Mask]
    body: Mask
    prescriptions: tuple[Prescription, ...]
    target_distance_mm: tuple[NDArray[np.float32], ...]

    @classmethod
    def build(
        cls,
        grid: Grid,
        masks: Mapping[str, Mask],
        body: Mask,
        prescriptions: Sequence[Prescription],
    ) -> "Anatomy":
        """Return the anatomy with its distances computed."""
        ordered = tuple(sorted(prescriptions, key=lambda item: -item.wanted_gy))
        distances = tuple(distance_from(masks[p.structure], grid) for p in ordered)
        return cls(grid, masks, body, ordered, distances)

    def nearest_target_mm(self) -> NDArray[np.float32]:
        """Return the distance from the nearest target; 0 inside."""
        nearest = self.target_distance_mm[0].copy()
        for distance in self.target_distance_mm[1:]:
            np.minimum(nearest, distance, out=nearest)
        return nearest


def counted_points(
    anatomy: Anatomy, points: Points, mask: Mask, *, excludes_targets: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the points of an organ and their volume shares; outside the targets only, if asked.

    Parameters
    ----------
    anatomy : Anatomy
        With the targets.
    points : Points
        What the optimiser looks at.
    mask : Mask
        The organ.
    excludes_targets : bool
        Whether its breach in the targets is accepted.
    """
    indices, shares = points.of_mask(mask)
    if not excludes_targets:
        return indices, shares
    is_outside = points.sample(anatomy.nearest_target_mm())[indices] > 0
    return indices[is_outside], shares[is_outside]


def target_terms(anatomy: Anatomy, points: Points, settings: ObjectiveSettings) -> list[DoseTerm]:
    """Return the objectives of the targets.

    Each voxel is asked for the highest dose that is prescribed to it; a target that may go up, for
    what it may go up to. Above, it may have what the hotter target beside it cannot help giving.
    """
    terms: list[DoseTerm] = []
    claimed = np.zeros(len(points.indices), dtype=bool)
    for level, prescription in enumerate(anatomy.prescriptions):
        indices, shares = points.of_mask(anatomy.masks[prescription.structure])
        is_own = ~claimed[indices]
        indices, shares = indices[is_own], shares[is_own]
        claimed[indices] = True
        if not len(indices):
            continue
        name, dose_gy = prescription.structure, prescription.wanted_gy
        terms.append(
            Underdose(f"{name} too little", indices, shares, dose_gy, settings.target_importance)
        )
        ceiling = np.full(len(indices), settings.target_overdose_percent / 100 * dose_gy)
        for hotter in range(level):
            allowed = _falloff(anatomy, points, settings, hotter)[indices]
            np.maximum(ceiling, allowed, out=ceiling)
        if settings.target_overdose_importance > 0:
            terms.append(
                Overdose(
                    f"{name} too much",
                    indices,
                    shares,
                    ceiling,
                    settings.target_overdose_importance,
                )
            )
    return terms


def _falloff(
    anatomy: Anatomy, points: Points, settings: ObjectiveSettings, level: int
) -> NDArray[np.float64]:
    """Return what one target allows at every point around it."""
    dose_gy = anatomy.prescriptions[level].wanted_gy
    distance = points.sample(anatomy.target_distance_mm[level])
    return np.asarray(
        falloff_threshold(
            distance,
            dose_gy,
            start_share=settings.falloff_start_percent / 100,
            end_share=settings.falloff_end_percent / 100,
            decay_per_mm=settings.falloff_per_mm,
        )
    )


def normal_tissue_term(
    anatomy: Anatomy, points: Points, settings: ObjectiveSettings
) -> list[DoseTerm]:
    """Return the objective that makes dose fall off outside the targets."""
    if settings.normal_tissue_importance <= 0:
        return []
    inside_body, shares = points.of_mask(anatomy.body)
    outside = points.sample(anatomy.nearest_target_mm())[inside_body] > 0
    indices, shares = inside_body[outside], shares[outside]
    if not len(indices):
        return []
    allowed = np.zeros(len(points.indices))
    for level in range(len(anatomy.prescriptions)):
        np.maximum(allowed, _falloff(anatomy, points, settings, level), out=allowed)
    name, weight = "normal tissue", settings.normal_tissue_importance
    return [Overdose(name, indices, shares, allowed[indices], weight)]


def organ_terms(
    anatomy: Anatomy,
    points: Points,
    caps: Sequence[OrganCap],
    settings: ObjectiveSettings,
    n_fractions: int,
) -> tuple[list[DoseTerm], list[Finding]]:
    """Return the objectives of the organs, and what could not be limited.

    Voxels whose earlier dose is unknown cannot be given a cumulative limit; they are left out
    and counted in a finding. Voxels already over the limit stay in: they are kept as low as the
    rest of the plan allows, and reported.
    """
    terms: list[DoseTerm] = []
    findings: list[Finding] = []
    for cap in caps:
        indices, shares = counted_points(
            anatomy,
            points,
            anatomy.masks[cap.structure],
            excludes_targets=cap.excludes_targets,
        )
        prior = np.zeros(len(indices))
        if cap.prior is not None:
            prior = points.sample(cap.prior.values)[indices]
            findings.extend(_cap_findings(cap, prior, anatomy.grid.voxel_volume_cc))
            findings.extend(corner_findings(cap, points, indices, prior))
            is_known = ~np.isnan(prior)
            indices, shares, prior = indices[is_known], shares[is_known], prior[is_known]
        if not len(indices):
            continue
        place = (indices, shares, prior)
        terms += _limit_terms(cap, points, place, settings, n_fractions)
        terms += _spent_terms(cap, place, settings, n_fractions)
    return terms, findings


def _spent_terms(
    cap: OrganCap,
    place: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
    settings: ObjectiveSettings,
    n_fractions: int,
) -> list[DoseTerm]:
    """Return the objective of the points that had all they may have before this plan.

    No cap can hold them. They count among themselves, not by their share of the organ, in which a
    few voxels would be lost; and where organs have no importance of their own (limits are held
    by caps alone) they count as much as a target does.
    """
    indices, shares, prior = place
    is_spent = prior >= cap.aim_eqd2_gy
    importance = settings.organ_importance or settings.target_importance
    if cap.prior is None or not np.any(is_spent):
        return []
    return [
        CumulativeOverdose(
            f"{cap.label} spent",
            indices[is_spent],
            shares[is_spent],
            prior[is_spent],
            cap.alpha_beta_gy,
            n_fractions,
            cap.aim_eqd2_gy,
            importance,
        )
    ]


def _limit_terms(
    cap: OrganCap,
    points: Points,
    place: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
    settings: ObjectiveSettings,
    n_fractions: int,
) -> list[DoseTerm]:
    """Return the objectives of one limit at points with their volumes and earlier dose."""
    indices, shares, prior = place
    terms: list[DoseTerm] = []
    if settings.organ_importance > 0:
        for name, at_corner, alpha_beta in prior_readings(cap, points, indices, prior):
            terms.append(
                CumulativeOverdose(
                    name,
                    indices,
                    shares,
                    at_corner,
                    alpha_beta,
                    n_fractions,
                    cap.aim_eqd2_gy,
                    settings.organ_importance,
                )
            )
    if settings.organ_mean_importance > 0:
        terms.append(
            CumulativeMean(
                f"{cap.label} mean",
                indices,
                shares,
                prior,
                cap.alpha_beta_gy,
                n_fractions,
                cap.limit_eqd2_gy,
                settings.organ_mean_importance,
            )
        )
    return terms


def organ_caps(
    anatomy: Anatomy,
    points: Points,
    caps: Sequence[OrganCap],
    n_fractions: int,
    *,
    with_edges: bool = False,
) -> tuple[DoseCap, ...]:
    """Return the cumulative limits as hard caps on this plan's physical dose.

    A voxel without a known earlier dose, or with nothing left, cannot be capped: the first is
    reported, the second stays in the objective of :func:`organ_terms` and is reported. Where only
    the worst case is unknown or leaves nothing, the limit holds for what is believed. Voxels
    beside an organ that its readings lean on are capped where the limit is for the highest dose
    anywhere; for other limits they are among the caps, but free, if asked for `with_edges`.
    """
    hard = []
    for cap in caps:
        mask = anatomy.masks[cap.structure]
        if cap.drawn is not None and (with_edges or cap.drawn.is_maximum):
            mask = cap.drawn.leaned_on(mask, anatomy.grid)
        indices, _ = counted_points(anatomy, points, mask, excludes_targets=cap.excludes_targets)
        voxels = points.indices[indices]
        doses_gy, _ = held_doses_gy(cap, anatomy.grid, voxels, n_fractions)
        if cap.drawn is not None and not cap.drawn.is_maximum:
            inside = anatomy.masks[cap.structure].on(anatomy.grid).ravel()[voxels] > 0
            doses_gy = np.where(inside | np.isnan(doses_gy), doses_gy, FREE_GY)
        has_some = doses_gy > 0  # false for NaN too
        if np.any(has_some):
            hard.append(DoseCap(f"{cap.label} cap", indices[has_some], doses_gy[has_some]))
    return tuple(hard)


def _cap_findings(cap: OrganCap, prior: NDArray[np.float64], voxel_cc: float) -> list[Finding]:
    """Say where a limit cannot be set or is already used up."""
    findings = []
    n_unknown = int(np.count_nonzero(np.isnan(prior)))
    if n_unknown:
        text = (
            f"The earlier dose is unknown in about {n_unknown * voxel_cc:.1f} cc of "
            f"{cap.structure}; the optimiser could not limit the sum there."
        )
        findings.append(Finding(Severity.CAUTION, "limit-not-set", text, cap.structure))
    n_over = int(np.count_nonzero(prior > cap.limit_eqd2_gy))
    if n_over:
        text = (
            f"About {n_over * voxel_cc:.1f} cc of {cap.structure} had more than its limit of "
            f"{cap.limit_eqd2_gy:g} Gy EQD2 before this plan; dose there was kept as low as the "
            "plan allows."
        )
        findings.append(Finding(Severity.SERIOUS, "over-limit-before", text, cap.structure))
    return findings


def physical_terms(
    anatomy: Anatomy, points: Points, caps: Sequence[PhysicalCap], settings: ObjectiveSettings
) -> list[DoseTerm]:
    """Return objectives that hold this plan's own dose below a bound."""
    terms: list[DoseTerm] = []
    for cap in caps:
        indices, shares = points.of_mask(anatomy.masks[cap.structure])
        if len(indices) and settings.organ_importance > 0:
            name = f"{cap.label} dose"
            terms.append(Overdose(name, indices, shares, cap.limit_gy, settings.organ_importance))
    return terms


def physical_hard_caps(
    anatomy: Anatomy, points: Points, caps: Sequence[PhysicalCap]
) -> tuple[DoseCap, ...]:
    """Return hard bounds on this plan's own dose as caps on every voxel."""
    hard = []
    for cap in caps:
        indices, _ = points.of_mask(anatomy.masks[cap.structure])
        if cap.is_hard and len(indices):
            hard.append(DoseCap(f"{cap.label} dose cap", indices, cap.limit_gy))
    return tuple(hard)
