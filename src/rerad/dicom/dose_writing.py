"""RTDOSE out: physical dose of a plan, or EQD2 and BED as effective dose.

DICOM counts a dose weighted by radiobiology as DoseType EFFECTIVE and has codes for how it was
composed (CP-2379, Context Group 7220); the model and alpha/beta go into text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage, RTPlanStorage

from rerad.core import Dose, DoseQuantity, Patient, Plan
from rerad.dicom.files import write_dataset
from rerad.dicom.headers import (
    RESEARCH_NOTE,
    StudyHeader,
    code,
    ds,
    items,
    new_dataset,
    reference,
    require_text_length,
)
from rerad.dicom.pixels import set_pixels
from rerad.errors import DicomError, FrameMismatchError, InputError

FROM_PRIOR = ("121370", "Composed from prior doses")
FROM_PRIOR_AND_CURRENT = ("121371", "Composed from prior doses and current plan")
WITH_RADIOBIOLOGY = ("121377", "Composed with radiobiological effects")
WITH_FRACTIONS = ("121378", "Composed with weighting for fractions delivered")


@dataclass(frozen=True, slots=True)
class DoseDerivation:
    """How a dose was composed, for the derivation codes and text of RTDOSE.

    Parameters
    ----------
    includes_prior : bool
        Whether doses of earlier courses are in it.
    includes_current : bool
        Whether the dose of the current plan is in it.
    is_weighted_for_fractions : bool
        Whether it counts the fractions delivered rather than those planned.
    model : str
        Radiobiological model, for example ``linear-quadratic``; empty for a physical dose.
    recovery : str
        What was assumed of recovery, in words; empty for none.
    grade : str
        Poorest record of the earlier courses in it, in words; empty for none.
    """

    includes_prior: bool = False
    includes_current: bool = True
    is_weighted_for_fractions: bool = False
    model: str = ""
    recovery: str = ""
    grade: str = ""

    @property
    def composition(self) -> tuple[str, str] | None:
        """The code (value, meaning) for whose doses are in it; None for the current plan only."""
        if not self.includes_prior:
            return None
        return FROM_PRIOR_AND_CURRENT if self.includes_current else FROM_PRIOR


@dataclass(frozen=True, slots=True)
class PlanReference:
    """A plan that a dose refers to and that need not be at hand: its UID and frame."""

    instance_uid: str
    frame_uid: str = ""


def write_dose(
    dose: Dose,
    patient: Patient,
    path: Path,
    *,
    study: StudyHeader,
    plans: Sequence[Plan | PlanReference],
    n_bits: int = 16,
    comment: str = "",
    derivation: DoseDerivation | None = None,
    unknown_as_zero: bool = False,
) -> Dose:
    """Write a dose as RTDOSE under a new UID.

    Parameters
    ----------
    dose : Dose
        Physical dose becomes DoseType PHYSICAL; EQD2 and BED become EFFECTIVE.
    patient : Patient
        Whose it is.
    path : Path
        File to write; a file of that name is replaced.
    study : StudyHeader
        Common header.
    plans : sequence of Plan or PlanReference
        The plans whose dose it is, written ones (with instance UID). One gives
        DoseSummationType PLAN, several give MULTI_PLAN.
    n_bits : {16, 32}
        Bits per voxel. 16 resolve the maximum into 65535 steps (1.2 mGy at 80 Gy).
    comment : str
        Free text after what rerad itself says in Dose Comment, which has 64 characters in all.
    derivation : DoseDerivation or None
        How it was composed; needed for EQD2 and BED.
    unknown_as_zero : bool
        Whether voxels of unknown dose may be written as 0; their number goes into Dose Comment.

    Returns
    -------
    Dose
        The same dose with its new instance UID.

    Raises
    ------
    DicomError
        If a plan has not been written, unknown voxels are not allowed for, or a text is too long.
    FrameMismatchError
        If the dose of one plan is in another frame than the plan.
    InputError
        If `n_bits` is neither 16 nor 32, or an effective dose has no derivation.
    """
    _check(dose, plans, n_bits, derivation)
    if dose.n_unknown and not unknown_as_zero:
        msg = (
            f"{dose.n_unknown} of {dose.grid.n_voxels} voxels have no known dose and RTDOSE "
            "cannot say so; crop the dose, or pass unknown_as_zero=True to write them as 0"
        )
        raise DicomError(msg)
    new = new_dataset(RTDoseStorage, "RTDOSE", patient, study)
    new.OperatorsName = ""
    new.InstanceNumber = 1
    new.SeriesDescription = _series_description(dose, study)
    new.DoseComment = _comment(dose, comment)
    _set_geometry(new, dose)
    _set_dose(new, dose, n_bits)
    new.DoseSummationType = "PLAN" if len(plans) == 1 else "MULTI_PLAN"
    new.ReferencedRTPlanSequence = items(
        *(reference(RTPlanStorage, plan.instance_uid) for plan in plans)
    )
    _set_derivation(new, dose, derivation)
    write_dataset(new, path)
    return replace(dose, instance_uid=str(new.SOPInstanceUID))


def _check(
    dose: Dose,
    plans: Sequence[Plan | PlanReference],
    n_bits: int,
    derivation: DoseDerivation | None,
) -> None:
    if n_bits not in {16, 32}:
        msg = f"expected 16 or 32 bits per voxel, got {n_bits}"
        raise InputError(msg)
    if not plans or not all(plan.instance_uid for plan in plans):
        msg = "a dose refers to the plans it came from; write them first and pass what returns"
        raise DicomError(msg)
    if dose.quantity is DoseQuantity.PHYSICAL and len(plans) == 1:
        frame_uid = plans[0].frame_uid
        if frame_uid and frame_uid != dose.grid.frame_uid:
            msg = (
                f"expected a dose in the frame of its plan {frame_uid}, got one in "
                f"{dose.grid.frame_uid}; write the dose that was computed for this plan"
            )
            raise FrameMismatchError(msg)
    if dose.quantity is not DoseQuantity.PHYSICAL and (derivation is None or not derivation.model):
        msg = f"{dose.quantity} needs a derivation that names the model it was made with"
        raise InputError(msg)


def _series_description(dose: Dose, study: StudyHeader) -> str:
    text = study.series_description or dose.label
    if dose.alpha_beta_gy is not None and str(dose.quantity) not in text:
        text = f"{dose.quantity} a/b {dose.alpha_beta_gy:g} Gy {text}".strip()
    return require_text_length(text or "Physical dose", 64, "series description of the dose")


def _comment(dose: Dose, comment: str) -> str:
    parts = []
    if dose.alpha_beta_gy is not None:
        parts.append(f"{dose.quantity} a/b={dose.alpha_beta_gy:g}")
    if dose.n_unknown:
        parts.append(f"unknown={dose.n_unknown} as 0")
    return require_text_length(" ".join([*parts, comment]).strip(), 64, "dose comment")


def _set_geometry(new: Dataset, dose: Dose) -> None:
    grid = dose.grid
    sx, sy, sz = grid.spacing_mm
    new.FrameOfReferenceUID = grid.frame_uid
    new.PositionReferenceIndicator = ""
    new.ImagePositionPatient = [ds(v) for v in grid.origin_mm]
    new.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    new.PixelSpacing = [ds(sy), ds(sx)]
    new.SliceThickness = ds(sz)
    new.NumberOfFrames = grid.shape[0]
    new.FrameIncrementPointer = 0x3004000C
    new.GridFrameOffsetVector = [ds(sz * k) for k in range(grid.shape[0])]


def _set_dose(new: Dataset, dose: Dose, n_bits: int) -> None:
    stored, scaling = quantise(np.nan_to_num(dose.values, nan=0.0), n_bits)
    set_pixels(new, stored)
    new.DoseUnits = "GY"
    new.DoseType = "PHYSICAL" if dose.quantity is DoseQuantity.PHYSICAL else "EFFECTIVE"
    new.DoseGridScaling = scaling
    new.TissueHeterogeneityCorrection = "IMAGE"


def quantise(values_gy: NDArray[np.float32], n_bits: int) -> tuple[NDArray[Any], Any]:
    """Return stored integers and the scaling as written.

    The written scaling has 16 characters; dividing by what is written, not by what was meant,
    keeps its rounding out of the dose.
    """
    top = 2**n_bits - 1
    highest = float(values_gy.max())
    scaling = ds(highest / top if highest > 0 else 1.0 / top)
    stored = np.rint(values_gy.astype(np.float64) / float(scaling))
    return np.minimum(stored, top).astype(np.uint16 if n_bits == 16 else np.uint32), scaling


def _set_derivation(new: Dataset, dose: Dose, derivation: DoseDerivation | None) -> None:
    if derivation is None:
        return
    codes = []
    if derivation.composition is not None:
        codes.append(derivation.composition)
    if dose.quantity is not DoseQuantity.PHYSICAL:
        codes.append(WITH_RADIOBIOLOGY)
    if derivation.is_weighted_for_fractions:
        codes.append(WITH_FRACTIONS)
    if codes:
        new.DerivationCodeSequence = items(*(code(*entry) for entry in codes))
    parts = []
    if dose.alpha_beta_gy is not None:
        parts.append(
            f"{dose.quantity} by the {derivation.model} model, "
            f"alpha/beta {dose.alpha_beta_gy:g} Gy"
        )
        parts.append(f"recovery: {derivation.recovery or 'none assumed'}")
    if derivation.grade:
        parts.append(f"poorest record of earlier courses: {derivation.grade}")
    parts.append(RESEARCH_NOTE)
    new.DerivationDescription = require_text_length("; ".join(parts), 1024, "dose derivation")
