"""The digital female pelvis: CT, structures, and at the second visit PET and MR."""

from collections.abc import Callable

import numpy as np

from rerad.core import Grid, Image, ImageUnit, Modality, RigidTransform
from rerad.phantoms import palettes
from rerad.phantoms.compose import Canvas, add_scan_noise, build_anatomy, paint_anatomy
from rerad.phantoms.modalities import make_mr, make_pet
from rerad.phantoms.placement import Placement
from rerad.phantoms.skeleton import make_spine
from rerad.phantoms.structures import draw_structures
from rerad.phantoms.targets import first_course_targets, second_course_targets
from rerad.phantoms.visit import PelvisPhantom, PelvisVisit

SCAN_TOP_MM = 218.0
"""Top of the scan above the hip centre: the upper edge of L3."""

SCAN_LENGTH_MM = 399.0
"""Length of the scan, to the middle of the thigh."""

NOISE_HU = 11.0
"""Standard deviation of CT noise in soft tissue."""


def make_pelvis(
    visit: PelvisVisit,
    *,
    seed: int,
    in_plane_mm: float = 0.98,
    slice_mm: float = 3.0,
    shape_ji: tuple[int, int] = (512, 512),
    progress: Callable[[str, float], None] | None = None,
) -> PelvisPhantom:
    """Return the pelvis of one visit.

    Parameters
    ----------
    visit : PelvisVisit
        How the patient lies, and what is in her.
    seed : int
        Of texture and noise.
    in_plane_mm, slice_mm : float
        Voxel size.
    shape_ji : tuple of int
        Rows and columns.
    progress : callable, optional
        Called with what is being done and the share done so far, 0 to 1.

    Returns
    -------
    PelvisPhantom
        Images and structures in the frame of the visit.
    """
    tell = progress or (lambda _what, _share: None)
    grid = ct_grid(visit, in_plane_mm, slice_mm, shape_ji)
    place = Placement(grid, visit.from_anatomy(), make_spine())
    tell("shapes", 0.0)
    anatomy = build_anatomy(place, visit)
    tell("CT", 0.5)
    canvas = Canvas(place, seed, palettes.CT.air)
    paint_anatomy(anatomy, canvas, palettes.CT)
    values = add_scan_noise(canvas.image, NOISE_HU, seed * 1000 + visit.bowel_seed)
    ct = Image(values, grid, Modality.CT, ImageUnit.HU, description="planning CT")
    tell("structures", 0.7)
    masks = draw_structures(anatomy)
    draw_targets = second_course_targets if visit.has_lesion else first_course_targets
    masks.update(draw_targets(anatomy))
    pet = mr = None
    if visit.has_lesion:
        del canvas, anatomy
        tell("PET", 0.8)
        pet = make_pet(visit, grid, place.spine, seed)
        tell("MR", 0.9)
        mr = make_mr(visit, grid, place.spine, seed)
    tell("done", 1.0)
    return PelvisPhantom(ct, masks, pet, mr, from_first_visit(visit))


def from_first_visit(visit: PelvisVisit) -> RigidTransform:
    """Return the map of bone from the first visit's frame to that of `visit`.

    The first visit lies in anatomy coordinates, so its frame is where the map starts; for the
    first visit itself it is the identity of its own frame.
    """
    matrix = visit.from_anatomy().matrix
    return RigidTransform(matrix, visit.first_frame_uid or visit.frame_uid, visit.frame_uid)


def ct_grid(
    visit: PelvisVisit, in_plane_mm: float, slice_mm: float, shape_ji: tuple[int, int]
) -> Grid:
    """Return the CT grid of a visit: centred on the patient, from L3 to mid-thigh."""
    j, i = shape_ji
    n = round(SCAN_LENGTH_MM / slice_mm)
    # The table is at the same place on every day; the patient is 6 mm in front of its middle.
    origin = (
        -0.5 * (i - 1) * in_plane_mm,
        10.0 - 0.5 * (j - 1) * in_plane_mm,
        float(np.rint(visit.offset_mm[2] + SCAN_TOP_MM - (n - 1) * slice_mm)),
    )
    return Grid((n, j, i), origin, (in_plane_mm, in_plane_mm, slice_mm), visit.frame_uid)
