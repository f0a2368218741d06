"""IEC 61217 rotations of gantry, beam limiting device and patient support.

A point of the patient goes through table top, fixed, gantry and beam-limiting-device axes, all
with their origin at the isocentre. In beam-limiting-device axes (BLD) the source is at
``(0, 0, SAD)``, leaves move along x, and leaf pairs are stacked along y. Pitch and roll of the
table top are not modelled.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import BeamGeometry, PatientPosition
from rerad.geometry.patient import patient_to_table_rotation


def _about_z(angle_deg: float) -> NDArray[np.float64]:
    """Coordinates in axes turned counterclockwise by `angle_deg` about z."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_y(angle_deg: float) -> NDArray[np.float64]:
    """Coordinates in axes turned by `angle_deg` about y, from z towards x."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])


def patient_to_bld_rotation(
    geometry: BeamGeometry, position: PatientPosition
) -> NDArray[np.float64]:
    """Return the rotation from patient axes to beam-limiting-device axes.

    Parameters
    ----------
    geometry : BeamGeometry
        Gantry, collimator and couch angles.
    position : PatientPosition
        How the patient lies.

    Returns
    -------
    ndarray of shape (3, 3)
        ``p_bld = rotation @ (p_patient - isocenter)``.

    References
    ----------
    .. [1] IEC 61217:2011, Radiotherapy equipment: coordinates, movements and scales.
    """
    fixed_from_table = _about_z(geometry.couch_angle_deg).T
    return (
        _about_z(geometry.collimator_angle_deg)
        @ _about_y(geometry.gantry_angle_deg)
        @ fixed_from_table
        @ patient_to_table_rotation(position)
    )


def patient_to_bld(
    points_mm: ArrayLike, geometry: BeamGeometry, position: PatientPosition
) -> NDArray[np.float64]:
    """Carry points of the patient into beam-limiting-device coordinates.

    Parameters
    ----------
    points_mm : array_like of shape (..., 3)
        ``(x, y, z)`` in mm in the DICOM patient system.
    geometry : BeamGeometry
        Angles and isocentre.
    position : PatientPosition
        How the patient lies.

    Returns
    -------
    ndarray of shape (..., 3)
        ``(x, y, z)`` in mm, origin at the isocentre, z towards the source.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    rotation = patient_to_bld_rotation(geometry, position)
    return np.asarray((points - np.asarray(geometry.isocenter_mm)) @ rotation.T)


def bld_to_patient(
    points_mm: ArrayLike, geometry: BeamGeometry, position: PatientPosition
) -> NDArray[np.float64]:
    """Carry points from beam-limiting-device coordinates into the patient.

    Parameters
    ----------
    points_mm : array_like of shape (..., 3)
        ``(x, y, z)`` in mm, origin at the isocentre, z towards the source.
    geometry : BeamGeometry
        Angles and isocentre.
    position : PatientPosition
        How the patient lies.

    Returns
    -------
    ndarray of shape (..., 3)
        ``(x, y, z)`` in mm in the DICOM patient system.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    rotation = patient_to_bld_rotation(geometry, position)
    return np.asarray(points @ rotation + np.asarray(geometry.isocenter_mm))


def source_position_mm(
    geometry: BeamGeometry, position: PatientPosition, *, sad_mm: float
) -> NDArray[np.float64]:
    """Return ``(x, y, z)`` of the source in mm in the DICOM patient system.

    Parameters
    ----------
    geometry : BeamGeometry
        Angles and isocentre.
    position : PatientPosition
        How the patient lies.
    sad_mm : float
        Source to isocentre distance.
    """
    return bld_to_patient((0.0, 0.0, sad_mm), geometry, position)


def project_to_isocenter_plane(points_bld_mm: ArrayLike, *, sad_mm: float) -> NDArray[np.float64]:
    """Project points along rays from the source onto the isocentre plane.

    Parameters
    ----------
    points_bld_mm : array_like of shape (..., 3)
        Beam-limiting-device coordinates in mm, below the source (z < `sad_mm`).
    sad_mm : float
        Source to isocentre distance.

    Returns
    -------
    ndarray of shape (..., 2)
        ``(x, y)`` in mm at the isocentre plane.
    """
    points = np.asarray(points_bld_mm, dtype=np.float64)
    scale = sad_mm / (sad_mm - points[..., 2])
    return np.asarray(points[..., :2] * scale[..., None])
