"""Type of re-irradiation after ESTRO and EORTC, from the doses that were actually given.

Type 1: the irradiated volumes overlap. Type 2: they do not, but toxicity from the sum of doses is
a concern. Otherwise it is repeat organ irradiation, if the same organ is irradiated again, or
repeat irradiation. What counts as irradiated is an isodose of each course, which the caller
states: the consensus names none. Whether toxicity is a concern is a clinician's judgement.

References
----------
Andratschke N et al., European Society for Radiotherapy and Oncology and European Organisation for
Research and Treatment of Cancer consensus on re-irradiation, Lancet Oncol 2022;23:e469-78,
doi:10.1016/S1470-2045(22)00447-8 [R: definitions read in summaries by the EORTC and in
Ann Palliat Med 2024].
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rerad.core import Dose
from rerad.errors import InputError, QuantityMismatchError

CONSENSUS = (
    "Andratschke N et al. ESTRO-EORTC consensus on re-irradiation. Lancet Oncol 2022;23:e469-78, "
    "doi:10.1016/S1470-2045(22)00447-8"
)
"""Source of the types; read in summaries (R2)."""


class ReirradiationType(StrEnum):
    """Class of the consensus."""

    TYPE_1 = "re-irradiation type 1"
    TYPE_2 = "re-irradiation type 2"
    REPEAT_ORGAN = "repeat organ irradiation"
    REPEAT = "repeat irradiation"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DoseOverlap:
    """How far the irradiated volumes of two courses overlap.

    Parameters
    ----------
    first_cc, second_cc, overlap_cc : float
        Volumes of the isodoses and of what they share, where both doses are known.
    unknown_cc : float
        Volume within one isodose where the other dose is unknown.
    first_isodose_gy, second_isodose_gy : float
        What was counted as irradiated.
    """

    first_cc: float
    second_cc: float
    overlap_cc: float
    unknown_cc: float
    first_isodose_gy: float
    second_isodose_gy: float


def dose_overlap(
    first: Dose, second: Dose, *, first_isodose_gy: float, second_isodose_gy: float
) -> DoseOverlap:
    """Return how far the isodoses of two courses overlap.

    Parameters
    ----------
    first, second : Dose
        On one grid (map the earlier one first), of one quantity.
    first_isodose_gy, second_isodose_gy : float
        Above 0.

    Returns
    -------
    DoseOverlap

    Raises
    ------
    GridMismatchError, FrameMismatchError
        If the doses are not on one grid.
    QuantityMismatchError
        If one is physical dose and the other is not, or alpha/beta differ.
    InputError
        If an isodose is not above 0.
    """
    first.grid.require_same_voxels(second.grid, "the doses of two courses")
    if (first.quantity, first.alpha_beta_gy) != (second.quantity, second.alpha_beta_gy):
        msg = f"expected two doses of one quantity, got {first.quantity} (alpha/beta "
        msg += f"{first.alpha_beta_gy}) and {second.quantity} ({second.alpha_beta_gy})"
        raise QuantityMismatchError(msg)
    for isodose in (first_isodose_gy, second_isodose_gy):
        if not isodose > 0:
            msg = f"expected isodoses above 0 Gy, got {isodose}; zero would count everything"
            raise InputError(msg)
    voxel_cc = first.grid.voxel_volume_cc
    is_known = np.isfinite(first.values) & np.isfinite(second.values)
    in_first = first.values >= first_isodose_gy  # NaN is in neither
    in_second = second.values >= second_isodose_gy
    return DoseOverlap(
        first_cc=float(np.count_nonzero(in_first) * voxel_cc),
        second_cc=float(np.count_nonzero(in_second) * voxel_cc),
        overlap_cc=float(np.count_nonzero(in_first & in_second) * voxel_cc),
        unknown_cc=float(np.count_nonzero((in_first | in_second) & ~is_known) * voxel_cc),
        first_isodose_gy=first_isodose_gy,
        second_isodose_gy=second_isodose_gy,
    )


def reirradiation_type(
    overlap: DoseOverlap, *, is_toxicity_a_concern: bool | None, is_same_organ: bool | None
) -> tuple[ReirradiationType, str]:
    """Return the type and one sentence why.

    Parameters
    ----------
    overlap : DoseOverlap
        From `dose_overlap`.
    is_toxicity_a_concern : bool or None
        A clinician's judgement of the cumulative dose; None means nobody has said.
    is_same_organ : bool or None
        Whether the same organ is irradiated again; None means unknown.

    Returns
    -------
    tuple of (ReirradiationType, str)
    """
    volumes = (
        f"the {overlap.first_isodose_gy:g} Gy volume of the first course "
        f"({overlap.first_cc:.1f} cc) and the {overlap.second_isodose_gy:g} Gy volume of the "
        f"second ({overlap.second_cc:.1f} cc)"
    )
    if overlap.overlap_cc > 0:
        return ReirradiationType.TYPE_1, f"{volumes} share {overlap.overlap_cc:.1f} cc"
    if overlap.unknown_cc > 0:
        why = f"{volumes} share nothing where both doses are known, but one is unknown in "
        return ReirradiationType.UNKNOWN, f"{why}{overlap.unknown_cc:.1f} cc of the other"
    apart = f"{volumes} do not overlap"
    if is_toxicity_a_concern is None:
        why = f"{apart}; whether cumulative toxicity is a concern has not been said"
        return ReirradiationType.UNKNOWN, why
    if is_toxicity_a_concern:
        return ReirradiationType.TYPE_2, f"{apart}, but cumulative toxicity is a concern"
    if is_same_organ is None:
        return ReirradiationType.UNKNOWN, f"{apart}; whether the organ is the same is unknown"
    if is_same_organ:
        return ReirradiationType.REPEAT_ORGAN, f"{apart}; the same organ is irradiated again"
    return ReirradiationType.REPEAT, f"{apart}; another organ is irradiated"
