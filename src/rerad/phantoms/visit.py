"""What a visit is, and what the digital pelvis of a visit holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Image, Mask, RigidTransform
from rerad.errors import InputError


@dataclass(frozen=True)
class PelvisVisit:
    """How the patient lies on one day, and what is in her.

    Parameters
    ----------
    frame_uid : str
        Frame of reference of all images of the visit.
    offset_mm : tuple of float
        Shift ``(x, y, z)`` of the hip centre from the origin of the frame.
    pitch_deg : float
        Rotation about x; positive: the head end sinks towards the couch.
    roll_deg : float
        Rotation about z; positive: the left side sinks.
    bladder_volume_cc : float
        Filling of the bladder, 40 to 500 cc.
    bowel_seed : int
        Arrangement of bowel and gas.
    has_lesion : bool
        Whether the right L5 and S1 roots are thickened and avid; such a visit also has PET and MR.

    first_frame_uid : str
        Frame of the first visit, from which `PelvisPhantom.from_first_visit` maps; empty means
        that this is the first visit, or that its frame has no name yet (then the map starts and
        ends in `frame_uid`).

    Raises
    ------
    InputError
        If a number is outside its range.
    """

    frame_uid: str
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    bladder_volume_cc: float = 250.0
    bowel_seed: int = 1
    has_lesion: bool = False
    first_frame_uid: str = ""

    def __post_init__(self) -> None:
        if not self.frame_uid:
            msg = "a visit needs a frame of reference UID, got an empty one"
            raise InputError(msg)
        if not 40.0 <= self.bladder_volume_cc <= 500.0:
            msg = f"expected a bladder of 40 to 500 cc, got {self.bladder_volume_cc}"
            raise InputError(msg)
        if abs(self.pitch_deg) > 10.0 or abs(self.roll_deg) > 10.0:
            msg = (
                "expected pitch and roll within 10 degrees, "
                f"got {self.pitch_deg} and {self.roll_deg}"
            )
            raise InputError(msg)

    @classmethod
    def first(cls, frame_uid: str) -> "PelvisVisit":
        """Return the visit before the first course: full bladder, no lesion."""
        return cls(frame_uid=frame_uid)

    @classmethod
    def second(cls, frame_uid: str, *, first_frame_uid: str = "") -> "PelvisVisit":
        """Return the visit before the second course: tilted, less urine, other gas, lesion."""
        return cls(
            frame_uid=frame_uid,
            first_frame_uid=first_frame_uid,
            offset_mm=(8.0, -12.0, 25.0),
            pitch_deg=3.0,
            roll_deg=1.0,
            bladder_volume_cc=110.0,
            bowel_seed=2,
            has_lesion=True,
        )

    def without_lesion(self) -> "PelvisVisit":
        """Return the same day without the disease."""
        return replace(self, has_lesion=False)

    def from_anatomy(self) -> RigidTransform:
        """Return the map from anatomy coordinates to the frame of this visit."""
        pitch, roll = np.deg2rad(self.pitch_deg), np.deg2rad(self.roll_deg)
        about_x = np.array(
            [
                [1, 0, 0],
                [0, np.cos(pitch), np.sin(pitch)],
                [0, -np.sin(pitch), np.cos(pitch)],
            ]
        )
        about_z = np.array(
            [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        )
        matrix = np.eye(4)
        matrix[:3, :3] = about_x @ about_z
        matrix[:3, 3] = self.offset_mm
        return RigidTransform(matrix, "anatomy", self.frame_uid)


@dataclass(frozen=True, eq=False)
class PelvisPhantom:
    """A digital female pelvis on one day.

    Parameters
    ----------
    ct : Image
        Planning CT in HU, int16.
    masks : mapping of str to Mask
        Structures by TG-263 name, fractions 0 or 1 on crops of ``ct.grid``.
    pet : Image or None
        PET in Bq/ml, only for a visit with the lesion.
    mr : Image or None
        Axial T2-weighted MR, only for a visit with the lesion.
    from_first_visit : RigidTransform
        True map of bone from the first visit's frame to this one's.
    """

    ct: Image
    masks: Mapping[str, Mask]
    pet: Image | None
    mr: Image | None
    from_first_visit: RigidTransform
