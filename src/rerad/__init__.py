"""rerad: plan radiotherapy where radiotherapy has been before.

Research software, not a medical device; not for clinical use. Units are mm, Gy, degrees, MU,
HU, g/cm³ and days everywhere; arrays are indexed ``[k, j, i]``, points are ``(x, y, z)`` in the
DICOM patient system. The rooms are imported by name: ``from rerad import dicom``.
"""

from rerad.errors import ReradError

__version__ = "0.1.0"

__all__ = ["ReradError", "__version__"]
