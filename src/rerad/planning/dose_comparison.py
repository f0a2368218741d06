"""Two doses of one plan beside each other: gamma, DVH and the plain difference.

The planned dose is the reference: it is judged voxel by voxel, inside the body only. The
recalculated dose is searched around each of its voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Grid, Mask, Severity, Structure, StructureKind, StructureSet
from rerad.errors import InputError
from rerad.evaluation import Dvh, GammaCriterion, GammaMap, dvh, gamma_index
from rerad.planning.pipeline import external_of
from rerad.planning.recalculation import lattice_over, on_grid
from rerad.structures import EndSlab, rasterize

HIGH_DOSE_SHARE = 0.5
"""Voxels with at least this share of the highest planned dose tell the ratio of the two doses."""

FRACTION_SLIP = 0.2
"""A ratio this near, as a share, to the number of fractions (or to one over it) is taken for a
dose of one fraction beside one of all, and said (rerad's choice)."""


@dataclass(frozen=True, eq=False, slots=True)
class StructureComparison:
    """One structure in both doses.

    Parameters
    ----------
    name : str
        As drawn.
    kind : StructureKind
        What it is.
    color : tuple of int
        As drawn.
    planned : Dvh or None
        Of the planned dose; None if there is none.
    recalculated : Dvh
        Of the recalculated dose.
    """

    name: str
    kind: StructureKind
    color: tuple[int, int, int]
    planned: Dvh | None
    recalculated: Dvh


@dataclass(frozen=True, eq=False, slots=True)
class DoseComparison:
    """A planned and a recalculated dose.

    Parameters
    ----------
    planned : Dose
        The reference, cropped to the body; NaN outside it.
    recalculated : Dose
        On the same voxels; NaN outside the body.
    gammas : tuple of GammaMap
        One for each criterion; the first decides.
    ratio : float
        Median of recalculated over planned dose where the planned dose is high.
    covered : float
        Share of the body that the grid of the planned dose holds.
    findings : tuple of Finding
        What a reader has to weigh.
    """

    planned: Dose
    recalculated: Dose
    gammas: tuple[GammaMap, ...]
    ratio: float
    covered: float
    findings: tuple[Finding, ...]

    @property
    def pass_percent(self) -> float:
        """Pass rate under the first criterion."""
        return 100.0 * self.gammas[0].pass_rate


def compare_doses(
    planned: Dose,
    recalculated: Dose,
    structures: StructureSet,
    criteria: Sequence[GammaCriterion],
    *,
    n_fractions: int,
) -> DoseComparison:
    """Compare two doses of the same beams and fractions inside the body.

    Parameters
    ----------
    planned : Dose
        As a planning system exported it.
    recalculated : Dose
        As calculated again, over the whole body.
    structures : StructureSet
        With the outline of the patient.
    criteria : sequence of GammaCriterion
        At least one; percentages are of the highest planned dose inside the body.
    n_fractions : int
        Planned fractions, to name a slip of fractions.

    Returns
    -------
    DoseComparison

    Raises
    ------
    FrameMismatchError
        If the doses are in different frames.
    InputError
        If the planned dose holds nothing of the body, or is 0 there.
    """
    outline = external_of(structures)
    planned.grid.require_same_frame(recalculated.grid, "planned and recalculated dose")
    reference, body, covered = _inside_body(planned, outline)
    inside = body.on(reference.grid) >= 0.5
    values = on_grid(recalculated, reference.grid)
    beside = Dose(np.where(inside, values, np.nan), reference.grid, label=recalculated.label)
    if not np.nanmax(np.where(inside, reference.values, 0.0)) > 0:
        msg = "the planned dose is 0 everywhere inside the body; is it the dose of this plan?"
        raise InputError(msg)
    gammas = tuple(gamma_index(reference, recalculated, item) for item in criteria)
    ratio = _ratio(reference.values, beside.values)
    return DoseComparison(
        planned=reference,
        recalculated=beside,
        gammas=gammas,
        ratio=ratio,
        covered=covered,
        findings=tuple(_findings(ratio, covered, n_fractions)),
    )


def _inside_body(planned: Dose, outline: Structure) -> tuple[Dose, Mask, float]:
    """Crop a dose to the body, mark what is outside as unknown, and say how much is covered."""
    xy = np.concatenate([contour.points_mm for contour in outline.contours])
    z = np.array([contour.z_mm for contour in outline.contours])
    half = 0.5 * outline.slice_thickness_mm
    box = lattice_over(
        planned.grid,
        np.array([*xy.min(axis=0), z.min() - half]),
        np.array([*xy.max(axis=0), z.max() + half]),
    )
    whole = rasterize(outline, box)
    part = _overlap(planned.grid, box)
    if part is None:
        msg = "the planned dose lies outside the body outline; is it the dose of this plan?"
        raise InputError(msg)
    body = rasterize(outline, part)
    inside = body.on(part) >= 0.5
    values = np.asarray(planned.values)[planned.grid.region_of(part)]
    covered = body.volume_cc / whole.volume_cc if whole.volume_cc > 0 else 0.0
    reference = replace(planned, values=np.where(inside, values, np.nan), grid=part)
    return reference, body, min(1.0, covered)


def _overlap(grid: Grid, box: Grid) -> Grid | None:
    """Return the crop of a grid that lies in a box on the same lattice; None if there is none."""
    start = np.rint(grid.indices(box.origin_mm)).astype(int)
    low = np.maximum(start, 0)
    high = np.minimum(start + np.asarray(box.shape), np.asarray(grid.shape))
    if np.any(high <= low):
        return None
    return grid.crop(
        (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))
    )


def _ratio(planned: NDArray[np.float32], recalculated: NDArray[np.float32]) -> float:
    """Return the median ratio of two doses where the first is high."""
    high = planned >= HIGH_DOSE_SHARE * np.nanmax(planned)
    high &= ~np.isnan(recalculated)
    return float(np.median(recalculated[high] / planned[high])) if high.any() else float("nan")


def _findings(ratio: float, covered: float, n_fractions: int) -> list[Finding]:
    """Say what makes a comparison less than it seems."""
    findings = []
    for factor, text in ((n_fractions, "one of"), (1 / n_fractions, "all")):
        if n_fractions > 1 and abs(ratio / factor - 1) < FRACTION_SLIP:
            message = (
                f"The recalculated dose is {ratio:.3g} times the planned one, about as if the "
                f"planned dose were that of {text} {n_fractions} fractions: say of how many it is "
                "with --dose-fractions. Nothing was scaled."
            )
            findings.append(Finding(Severity.SERIOUS, "fractions-suspect", message))
    if covered < 0.999:
        message = (
            f"The planned dose covers {100 * covered:.0f} % of the body: only there the two are "
            "compared."
        )
        findings.append(Finding(Severity.NOTE, "planned-dose-covers-part", message))
    return findings


def compare_structures(
    planned: Dose | None, recalculated: Dose, structures: StructureSet, *, end_slab: EndSlab
) -> tuple[tuple[StructureComparison, ...], tuple[Finding, ...]]:
    """Return the DVH of every drawn structure in both doses, targets first.

    Parameters
    ----------
    planned : Dose or None
        As exported, not cropped.
    recalculated : Dose
        Of the same beams and fractions.
    structures : StructureSet
        What is not drawn, and couches, are left out.
    end_slab : EndSlab
        How far a stack of contours reaches beyond its ends.

    Returns
    -------
    comparisons : tuple of StructureComparison
        The outline of the patient last.
    findings : tuple of Finding
        Which structures enclose no volume.
    """
    drawn = [
        item
        for item in structures.structures
        if not item.is_empty and item.kind is not StructureKind.SUPPORT
    ]
    drawn.sort(key=lambda item: (item.kind is StructureKind.EXTERNAL, not item.kind.is_target))
    compared, findings = [], []
    for item in drawn:
        try:
            again = dvh(recalculated, item, end_slab=end_slab)
        except InputError as error:
            text = f"{item.name} is left out: {error}"
            findings.append(Finding(Severity.NOTE, "structure-without-volume", text, item.name))
            continue
        first = dvh(planned, item, end_slab=end_slab) if planned is not None else None
        compared.append(StructureComparison(item.name, item.kind, item.color, first, again))
    return tuple(compared), tuple(findings)
