"""Registration quality at points that a person set on both CTs.

Bones and images judge a registration by themselves; a landmark asks somebody who knows where the
same anatomy lies. The mean distance is the target registration error of these points, and only of
them. Lengths in mm.

References
----------
.. [1] Brock et al. (2017), AAPM TG-132, Med. Phys. 44, e43-e76, doi:10.1002/mp.12256.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rerad.core import DisplacementField, Transform
from rerad.errors import InputError
from rerad.registration.deformable_quality import source_points
from rerad.tables import load_table, source_of

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Landmark:
    """The same anatomical point on two CTs.

    Parameters
    ----------
    name : str
        What it is.
    earlier_mm, today_mm : tuple of float
        ``(x, y, z)`` in the patient system of the earlier and of today's CT.
    """

    name: str
    earlier_mm: Point
    today_mm: Point


@dataclass(frozen=True, slots=True)
class LandmarkFit:
    """How far landmarks lie apart after a registration.

    Parameters
    ----------
    distances_mm : tuple of (str, float)
        By name; NaN where the map is not known at the point.
    max_mean_mm : float
        Largest mean distance at which doses may be added.
    citation : str
        Where that comes from.
    """

    distances_mm: tuple[tuple[str, float], ...]
    max_mean_mm: float
    citation: str

    @property
    def mean_mm(self) -> float:
        """Mean distance; NaN if one is not known."""
        return float(np.mean([distance for _, distance in self.distances_mm]))

    @property
    def farthest(self) -> tuple[str, float]:
        """The landmark that lies farthest off, one that is not known before all others."""
        return max(self.distances_mm, key=lambda item: (np.isnan(item[1]), item[1]))

    @property
    def is_acceptable(self) -> bool:
        """Whether doses may be added as far as the landmarks say; not if one is unknown."""
        return self.mean_mm <= self.max_mean_mm


def landmark_fit(transform: Transform, landmarks: Sequence[Landmark]) -> LandmarkFit:
    """Measure a registration at landmarks.

    Parameters
    ----------
    transform : RigidTransform or DisplacementField
        From the earlier to today's frame.
    landmarks : sequence of Landmark
        At least one.

    Returns
    -------
    LandmarkFit
        Distances in today's frame for a rigid transform; for a field, which leads backwards, in
        the earlier frame.

    Raises
    ------
    InputError
        If there is no landmark.
    """
    if not landmarks:
        msg = "expected at least one landmark to measure a registration by, got none"
        raise InputError(msg)
    earlier = np.array([item.earlier_mm for item in landmarks], dtype=np.float64)
    today = np.array([item.today_mm for item in landmarks], dtype=np.float64)
    if isinstance(transform, DisplacementField):
        distances = np.linalg.norm(source_points(transform, today) - earlier, axis=1)
    else:
        distances = np.linalg.norm(transform.apply(earlier) - today, axis=1)
    table = load_table("registration")["deformable"]
    named = tuple((item.name, float(d)) for item, d in zip(landmarks, distances, strict=True))
    source = source_of(table, "registration deformable").text
    return LandmarkFit(named, float(table["max_landmark_mean_mm"]), source)
