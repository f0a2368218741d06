"""From the DICOM patient system to the IEC 61217 table top, for each patient position.

DICOM patient axes (LPS): x to the patient's left, y to the back, z to the head. IEC 61217 table
top axes at couch angle 0: X to the right of a viewer who faces the gantry, Y towards the gantry,
Z up. Both right-handed, so every patient position is a proper rotation.
"""

import numpy as np
from numpy.typing import NDArray

from rerad.core import PatientPosition

_ROWS: dict[PatientPosition, tuple[tuple[int, int, int], ...]] = {
    PatientPosition.HFS: ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    PatientPosition.FFS: ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
    PatientPosition.HFP: ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    PatientPosition.FFP: ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def patient_to_table_rotation(position: PatientPosition) -> NDArray[np.float64]:
    """Return the rotation from DICOM patient axes to IEC 61217 table top axes.

    Parameters
    ----------
    position : PatientPosition
        How the patient lies.

    Returns
    -------
    ndarray of shape (3, 3)
        ``p_table = rotation @ p_patient``.

    References
    ----------
    .. [1] DICOM PS3.3 C.7.3.1.1.2 (Patient Position); IEC 61217:2011.
    """
    return np.array(_ROWS[position], dtype=np.float64)
