"""One frame onto another: rigid registration by bones, with its quality."""

from rerad.registration.quality import RegistrationQuality
from rerad.registration.rigid import RegistrationResult, register_rigid

__all__ = ["RegistrationQuality", "RegistrationResult", "register_rigid"]
