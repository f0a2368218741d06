"""Values on a grid: CT in HU, PET in Bq/ml or SUV, MRI in arbitrary units, mass density."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.grid import Grid
from rerad.core.patient import PatientPosition
from rerad.core.pet import PetAcquisition
from rerad.errors import GridMismatchError


class Modality(StrEnum):
    """What kind of image it is (DICOM Modality)."""

    CT = "CT"
    PET = "PT"
    MR = "MR"


class ImageUnit(StrEnum):
    """What one unit of an image's values means."""

    HU = "HU"
    BQML = "Bq/ml"
    COUNTS = "counts"
    SUVBW = "g/ml (SUVbw)"
    SUVLBM_JANMAHASATIAN = "g/ml (SUVlbm, Janmahasatian)"
    SUVLBM_JAMES = "g/ml (SUVlbm, James)"
    SUVBSA = "cm2/ml (SUVbsa)"
    ARBITRARY = "a.u."
    DENSITY = "g/cm3"


@dataclass(frozen=True, eq=False, slots=True)
class Image:
    """A three-dimensional image.

    Parameters
    ----------
    values : ndarray of shape (K, J, I)
        Voxel values in `unit`; kept as read-only float32 or int16 (CT).
    grid : Grid
        Where the voxels are.
    modality : Modality
        CT, PET or MR.
    unit : ImageUnit
        Unit of `values`.
    patient_position : PatientPosition
        HFS, FFS, HFP or FFP; of a PET or MR that does not say, HFS, and nothing rests on it.
    series_uid, study_uid : str
        DICOM UIDs; empty for an image that was not read from DICOM.
    instance_uids : tuple of str
        SOP Instance UID of each slice, in the order of k; empty if there are none.
    description : str
        Series description.
    acquired : date or None
        Day of acquisition; None means unknown.
    pet : PetAcquisition or None
        What SUV needs to know; only for PET.

    Raises
    ------
    GridMismatchError
        If `values` and `grid` differ in shape.
    """

    values: NDArray[np.float32] | NDArray[np.int16]
    grid: Grid
    modality: Modality
    unit: ImageUnit
    patient_position: PatientPosition = PatientPosition.HFS
    series_uid: str = ""
    study_uid: str = ""
    instance_uids: tuple[str, ...] = ()
    description: str = ""
    acquired: date | None = None
    pet: PetAcquisition | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        dtype = np.int16 if values.dtype == np.int16 else np.float32
        object.__setattr__(self, "values", frozen_array(values, dtype))
        if self.values.shape != self.grid.shape:
            msg = f"expected image values of shape {self.grid.shape}, got {self.values.shape}"
            raise GridMismatchError(msg)
