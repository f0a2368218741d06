"""One frame onto another: rigid by bones, deformable on top of it, each with its quality."""

from rerad.registration.deformable import DeformableSettings, register_deformable
from rerad.registration.deformable_quality import (
    DeformableQuality,
    assess_deformable,
    source_points,
)
from rerad.registration.landmarks import Landmark, LandmarkFit, landmark_fit
from rerad.registration.quality import RegistrationQuality
from rerad.registration.rigid import RegistrationResult, register_rigid

__all__ = [
    "DeformableQuality",
    "DeformableSettings",
    "Landmark",
    "LandmarkFit",
    "RegistrationQuality",
    "RegistrationResult",
    "assess_deformable",
    "landmark_fit",
    "register_deformable",
    "register_rigid",
    "source_points",
]
