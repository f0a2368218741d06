"""From clinical goals to objectives: what the optimiser is asked for, voxel by voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Grid, Mask, Prescription, Severity
from rerad.optimize import (
    CumulativeMean,
    CumulativeOverdose,
    DoseCap,
    DoseTerm,
    Overdose,
    Underdose,
    falloff_threshold,
    worst_case_cap,
)
from rerad.planning.inputs import ObjectiveSettings
from rerad.planning.points import Points, touched
from rerad.radiobiology import physical_from_eqd2
from rerad.structures import distance_from


@dataclass(frozen=True, eq=False, slots=True)
class CapCorner:
    """One corner of what may have been: an alpha/beta, and the most that was given before.

    Parameters
    ----------
    alpha_beta_gy : float
        End of its interval.
    prior : Dose or None
        Highest earlier EQD2 at that alpha/beta, with the least recovery; NaN where unknown. None
        if the patient had none.
    """

    alpha_beta_gy: float
    prior: Dose | None


@dataclass(frozen=True, eq=False, slots=True)
class OrganCap:
    """A cumulative limit as the optimiser sees it: a bound on every voxel of an organ.

    Parameters
    ----------
    structure : str
        Name.
    limit_eqd2_gy : float
        Cumulative EQD2 that no voxel should exceed.
    aim_eqd2_gy : float
        What the optimiser stays below: the limit, less a margin for what sequencing changes.
    alpha_beta_gy : float
        Of the organ.
    prior : Dose or None
        Earlier EQD2 at that alpha/beta after the recovery that goes with the limit; None if the
        patient had none.
    excludes_targets : bool
        Whether voxels inside a target are left out, because the breach there is accepted.
    tag : str
        Tells limits of one structure apart.
    corners : tuple of CapCorner
        Of a robust plan: the limit is to hold at each of them; empty believes `prior`.
    is_point_maximum : bool
        Whether the limit is for the highest dose anywhere: then every voxel that such a reading
        touches is capped, those beside the organ too.
    """

    structure: str
    limit_eqd2_gy: float
    aim_eqd2_gy: float
    alpha_beta_gy: float
    prior: Dose | None
    excludes_targets: bool
    tag: str = ""
    corners: tuple[CapCorner, ...] = ()
    is_point_maximum: bool = False

    @property
    def label(self) -> str:
        """Structure and tag, for names of objectives and caps."""
        return f"{self.structure} {self.tag}".strip()


@dataclass(frozen=True, slots=True)
class PhysicalCap:
    """An upper bound on this plan's physical dose in a structure, in Gy; penalised, or hard."""

    structure: str
    limit_gy: float
    is_hard: bool = False
    metric: str = ""

    @property
    def label(self) -> str:
        """Structure and metric, for names of objectives and caps."""
        return f"{self.structure} {self.metric}".strip()


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
        ordered = tuple(sorted(prescriptions, key=lambda item: -item.dose_gy))
        distances = tuple(distance_from(masks[p.structure], grid) for p in ordered)
        return cls(grid, masks, body, ordered, distances)

    def nearest_target_mm(self) -> NDArray[np.float32]:
        """Return the distance from the nearest target; 0 inside."""
        nearest = self.target_distance_mm[0].copy()
        for distance in self.target_distance_mm[1:]:
            np.minimum(nearest, distance, out=nearest)
        return nearest


def target_terms(anatomy: Anatomy, points: Points, settings: ObjectiveSettings) -> list[DoseTerm]:
    """Return the objectives of the targets.

    Each voxel is asked for the highest dose that is prescribed to it. Above, it may have what
    the hotter target beside it cannot help giving.
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
        name, dose_gy = prescription.structure, prescription.dose_gy
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
    dose_gy = anatomy.prescriptions[level].dose_gy
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
    nearest = points.sample(anatomy.nearest_target_mm())
    for cap in caps:
        indices, shares = points.of_mask(anatomy.masks[cap.structure])
        if cap.excludes_targets:
            is_outside = nearest[indices] > 0
            indices, shares = indices[is_outside], shares[is_outside]
        prior = np.zeros(len(indices))
        if cap.prior is not None:
            prior = points.sample(cap.prior.values)[indices]
            findings.extend(_cap_findings(cap, prior, anatomy.grid.voxel_volume_cc))
            findings.extend(_corner_findings(cap, points, indices, prior))
            is_known = ~np.isnan(prior)
            indices, shares, prior = indices[is_known], shares[is_known], prior[is_known]
        if not len(indices):
            continue
        common = (indices, shares, prior, cap.alpha_beta_gy, n_fractions)
        if settings.organ_importance > 0:
            for name, at_corner, alpha_beta in _read_at(cap, points, indices, prior):
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
                    *common,
                    cap.limit_eqd2_gy,
                    settings.organ_mean_importance,
                )
            )
    return terms, findings


def _read_at(
    cap: OrganCap, points: Points, indices: NDArray[np.int64], prior: NDArray[np.float64]
) -> list[tuple[str, NDArray[np.float64], float]]:
    """Return name, earlier dose and alpha/beta of each objective of a limit: one a corner.

    Where the earlier dose of a corner is unknown, the one that is believed is taken.
    """
    name = f"{cap.label} limit"
    if not cap.corners:
        return [(name, prior, cap.alpha_beta_gy)]
    read = []
    for corner in cap.corners:
        label = name if len(cap.corners) == 1 else f"{name}, a/b {corner.alpha_beta_gy:g}"
        there = _corner_prior(corner, points, indices)
        read.append((label, np.where(np.isnan(there), prior, there), corner.alpha_beta_gy))
    return read


def _corner_prior(
    corner: CapCorner, points: Points, indices: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the earlier dose of a corner at some points."""
    if corner.prior is None:
        return np.zeros(len(indices))
    return points.sample(corner.prior.values)[indices]


def organ_caps(
    anatomy: Anatomy, points: Points, caps: Sequence[OrganCap], n_fractions: int
) -> tuple[DoseCap, ...]:
    """Return the cumulative limits as hard caps on this plan's physical dose.

    A voxel without a known earlier dose, or with nothing left, cannot be capped: the first is
    reported, the second stays in the objective of :func:`organ_terms` and is reported. Where only
    the worst case is unknown or leaves nothing, the limit holds for what is believed.
    """
    hard = []
    nearest = points.sample(anatomy.nearest_target_mm())
    for cap in caps:
        mask = anatomy.masks[cap.structure]
        indices, _ = points.of_mask(touched(mask, anatomy.grid) if cap.is_point_maximum else mask)
        if cap.excludes_targets:
            indices = indices[nearest[indices] > 0]
        prior = np.zeros(len(points.indices))
        if cap.prior is not None:
            prior = points.sample(cap.prior.values)
        left = cap.aim_eqd2_gy - prior[indices]
        has_some = left > 0  # false for NaN too
        indices, left = indices[has_some], left[has_some]
        if len(indices):
            physical = np.asarray(
                physical_from_eqd2(left, n_fractions=n_fractions, alpha_beta_gy=cap.alpha_beta_gy)
            )
            if cap.corners:
                priors = [_corner_prior(corner, points, indices) for corner in cap.corners]
                at = [corner.alpha_beta_gy for corner in cap.corners]
                worst = worst_case_cap(priors, at, cap.aim_eqd2_gy, n_fractions)
                holds = worst > 0  # false for NaN too
                physical = np.where(holds, np.minimum(worst, physical), physical)
            hard.append(DoseCap(f"{cap.label} cap", indices, physical))
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


def _corner_findings(
    cap: OrganCap, points: Points, indices: NDArray[np.int64], prior: NDArray[np.float64]
) -> list[Finding]:
    """Say where the worst case cannot be held against, though what is believed can."""
    if not cap.corners:
        return []
    priors = [_corner_prior(corner, points, indices) for corner in cap.corners]
    can = prior < cap.limit_eqd2_gy  # false for NaN too
    voxel_cc = points.grid.voxel_volume_cc
    unknown = np.isnan(priors).any(axis=0) & can
    spent = (np.fmax.reduce(priors) >= cap.limit_eqd2_gy) & can & ~unknown
    findings = []
    for where, why in ((unknown, "is unknown"), (spent, "leaves nothing of the limit")):
        if where.any():
            text = (
                f"In about {np.count_nonzero(where) * voxel_cc:.1f} cc of {cap.structure} the "
                f"worst case of the earlier dose {why}; there the limit was held for the earlier "
                "dose as mapped only."
            )
            findings.append(Finding(Severity.CAUTION, "worst-case-not-held", text, cap.structure))
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
