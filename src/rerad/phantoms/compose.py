"""From shapes to CT numbers: painting in the order of anatomy, then noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.kernels.phantom import paint, sample_noise
from rerad.phantoms.envelope import Envelope, build_envelope
from rerad.phantoms.fields import Field
from rerad.phantoms.muscles import build_muscles
from rerad.phantoms.nerves import (
    ROOTS,
    THICK_DIAMETER_MM,
    Nerves,
    build_nerves,
    involved_part,
)
from rerad.phantoms.organs import Organs, build_organs, clear_of_wall
from rerad.phantoms.palettes import Palette, Tissue
from rerad.phantoms.placement import Placement, make_texture
from rerad.phantoms.shapes import tube
from rerad.phantoms.skeleton import Skeleton, build_skeleton
from rerad.phantoms.visit import PelvisVisit

OUTLINE_SEED = 11
"""Seed of the irregularity of outlines: one patient, so the same at every visit."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything drawn for one visit.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    envelope, skeleton, organs, nerves
        Shapes by region.
    muscles : dict of str to Field
        Muscles that are drawn as structures, with side.
    root_fields : dict of str to Field
        Nerve roots ("L4_R" and so on).
    sciatic : dict of str to Field
        By side.
    sac : Field
        Thecal sac.
    all_muscle : Field
        All muscles together, parted by fat planes.
    lesion : Field or None
        The thickened part of the involved roots.
    """

    place: Placement
    envelope: Envelope
    skeleton: Skeleton
    organs: Organs
    nerves: Nerves
    root_fields: dict[str, Field]
    sciatic: dict[str, Field]
    sac: Field
    muscles: dict[str, Field]
    all_muscle: Field
    lesion: Field | None


def build_anatomy(place: Placement, visit: PelvisVisit) -> Anatomy:
    """Return the shapes of a visit on a grid.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    visit : PelvisVisit
        Bladder, bowel, lesion.
    """
    nerves = build_nerves(place.spine, has_lesion=visit.has_lesion)
    # Foramina are those of the healthy nerves on both days: bone does not change in between.
    healthy = build_nerves(place.spine, has_lesion=False)
    channel = place.tubes(*healthy.roots.values(), *healthy.sciatic.values())
    texture = make_texture(OUTLINE_SEED)
    envelope = build_envelope(place)
    skeleton = build_skeleton(place, channel, texture)
    rng = np.random.default_rng(visit.bowel_seed)
    organs = build_organs(place, visit.bladder_volume_cc, envelope.cavity, (rng, texture))
    all_muscle, muscles = build_muscles(place, envelope, skeleton, organs, texture)
    wall = [muscles[f"{name}_{side}"] for name in ("Psoas", "Iliacus") for side in "LR"]
    bones = [*skeleton.vertebrae.values(), skeleton.discs, skeleton.sacrum]
    organs = clear_of_wall(organs, [*wall, *bones, *skeleton.hips.values()])
    lesion = None
    if visit.has_lesion:
        lesion = place.tubes(*(involved_part(nerves, name) for name in THICK_DIAMETER_MM))
    return Anatomy(
        place=place,
        envelope=envelope,
        skeleton=skeleton,
        organs=organs,
        nerves=nerves,
        root_fields={name: place.tubes(segments) for name, segments in nerves.roots.items()},
        sciatic={side: place.tubes(nerves.sciatic[side]) for side in "LR"},
        sac=_thecal_sac(place),
        muscles=muscles,
        all_muscle=all_muscle,
        lesion=lesion,
    )


def _thecal_sac(place: Placement) -> Field:
    spine = place.spine
    at = [(53, 73), (37, 93), (25, 109), (14, 127), (4, 162), (5, 199), (10, 236), (16, 272)]
    offset = [15, 20, 21, 22.5, 22.5, 22.5, 22.5, 22.5]
    radius = [1.5, 5.0, 6.0, 6.6, 7.0, 7.4, 7.6, 7.6]
    tubes = []
    for x in (-2.2, 2.2):
        local = np.array(
            [(x, n, spine.arc_at(*p), r) for p, n, r in zip(at, offset, radius, strict=True)]
        )
        local[:, :3] = spine.to_anatomy(local[:, :3])
        tubes.append(tube(local))
    return place.tubes(*tubes)


class Canvas:
    """An image while it is painted.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    seed : int
        Of the texture.
    background : float
        Value of air.
    """

    def __init__(self, place: Placement, seed: int, background: float) -> None:
        self.place = place
        self.image = np.full(place.grid.shape, background, dtype=np.float32)
        self.texture = make_texture(seed)
        self._matrix = place.index_to_anatomy

    def paint(self, shape: Field, tissue: Tissue) -> None:
        """Paint a tissue where the field is negative."""
        t = tissue
        core = [t.core, t.texture, t.grain_mm]
        layers = [t.shell, t.shell_mm, t.shell_texture, t.rim, t.rim_mm]
        numbers = np.array([*core, *layers, t.edge_mm])
        start = np.asarray(shape.start, dtype=np.int64)
        paint(self.image, start, shape.sdf, numbers, self.texture, self._matrix)


def paint_anatomy(anatomy: Anatomy, canvas: Canvas, palette: Palette) -> None:
    """Paint everything from the skin inwards; later tissues cover earlier ones."""
    env, bones, organs = anatomy.envelope, anatomy.skeleton, anatomy.organs
    canvas.paint(env.couch, palette.couch)
    canvas.paint(env.body, palette.fat)
    canvas.paint(env.cavity, palette.visceral_fat)
    canvas.paint(anatomy.all_muscle, palette.muscle)
    canvas.paint(_streaks(anatomy, canvas.texture), palette.streak)
    canvas.paint(organs.mesentery, palette.mesentery)
    _paint_organs(anatomy, canvas, palette)
    _paint_bones(bones, canvas, palette)
    canvas.paint(bones.canal, palette.canal)
    canvas.paint(anatomy.sac, palette.sac)
    for root in (*anatomy.root_fields.values(), *anatomy.sciatic.values()):
        canvas.paint(root, palette.nerve)
    if anatomy.lesion is not None:
        canvas.paint(anatomy.lesion, palette.lesion)
    canvas.paint(organs.other_vessels, palette.artery)
    for name in sorted(organs.vessels, reverse=True):
        tissue = palette.artery if name.startswith("A_") else palette.vein
        canvas.paint(organs.vessels[name], tissue)


def _streaks(anatomy: Anatomy, texture: NDArray[np.float32]) -> Field:
    """Return strands of fat along the fibres of the muscles."""
    place, muscle = anatomy.place, anatomy.all_muscle
    # Fibres run outwards, backwards and down: the texture is stretched along them.
    along = np.array([0.55, 0.25, -0.8])
    along /= np.linalg.norm(along)
    squeeze = np.eye(3) - 0.85 * np.outer(along, along)
    matrix = np.ascontiguousarray(squeeze @ place.to_anatomy)
    noise = sample_noise(place.frame(muscle.start, muscle.sdf.shape), matrix, texture, 3.4)
    np.subtract(np.float32(1.75), noise, out=noise)
    noise *= np.float32(1.6)
    np.maximum(noise, muscle.sdf + np.float32(1.0), out=noise)
    return Field(muscle.start, noise)


def _paint_organs(anatomy: Anatomy, canvas: Canvas, palette: Palette) -> None:
    organs = anatomy.organs
    canvas.paint(organs.loops, palette.bowel)
    canvas.paint(organs.loop_gas, palette.gas)
    canvas.paint(organs.ureters, palette.ureter)
    canvas.paint(organs.vagina, palette.vagina)
    canvas.paint(organs.cuff, palette.cuff)
    canvas.paint(organs.bladder, palette.bladder)
    for name, shape in organs.colon.items():
        canvas.paint(shape, palette.colon)
        canvas.paint(_colon_gas(anatomy, name, canvas.texture), palette.gas)


def _paint_bones(bones: Skeleton, canvas: Canvas, palette: Palette) -> None:
    canvas.paint(bones.cartilage, palette.cartilage)
    canvas.paint(bones.discs, palette.disc)
    for shape in bones.vertebrae.values():
        canvas.paint(shape, palette.vertebra)
    canvas.paint(bones.sacrum, palette.sacrum)
    for side in "LR":
        canvas.paint(bones.hips[side], palette.hip)
        canvas.paint(bones.femurs[side], palette.femur)
        head = bones.heads[side]
        canvas.paint(Field(head.start, head.sdf + np.float32(6.5)), palette.head)
        canvas.paint(bones.shafts[side], palette.shaft)
        canvas.paint(bones.marrow[side], palette.marrow)


def _colon_gas(anatomy: Anatomy, name: str, texture: NDArray[np.float32]) -> Field:
    """Return gas in a piece of large bowel, where a slow texture is high."""
    place, shape = anatomy.place, anatomy.organs.colon[name]
    threshold, shift = anatomy.organs.colon_gas[name]
    # The texture is looked up elsewhere at each visit: gas moves, trabeculae do not.
    matrix = place.to_anatomy + np.array([[0, 0, 0, shift], [0, 0, 0, 0.7 * shift], [0, 0, 0, 0]])
    noise = sample_noise(place.frame(shape.start, shape.sdf.shape), matrix, texture, 13.0)
    level = np.float32(threshold) + np.float32(2.2) * (_depth_share(shape) - np.float32(0.4))
    bubble = (level - noise) * np.float32(7.0)
    return Field(shape.start, np.maximum(shape.sdf + np.float32(3.2), bubble))


def _depth_share(shape: Field) -> NDArray[np.float32]:
    """Return how far back each voxel lies in its piece of gut, 0 in front to 1 behind.

    Gas rises to the front of a patient who lies on her back.
    """
    n = shape.sdf.shape[1]
    row = np.arange(n, dtype=np.int16)[None, :, None]
    outside = shape.sdf > -2.0
    front = np.maximum.accumulate(np.where(outside, row, np.int16(0)), axis=1)
    back = np.where(outside, row, np.int16(n))[:, ::-1]
    back = np.minimum.accumulate(back, axis=1)[:, ::-1]
    return np.asarray((row - front) / np.maximum(back - front, 1), dtype=np.float32)


def add_scan_noise(image: NDArray[np.float32], sigma_hu: float, seed: int) -> NDArray[np.int16]:
    """Return the image with correlated noise, rounded to whole HU.

    A library of noise slices is shifted at random from slice to slice: as good to the eye and
    to a detector as new noise everywhere, and much quicker.
    """
    rng = np.random.default_rng([seed, 2])
    k, j, i = image.shape
    library = gaussian_filter(
        rng.standard_normal((16, j, i), dtype=np.float32), (0.0, 0.75, 0.75), mode="wrap"
    )
    library *= np.float32(sigma_hu) / library.std()
    out = np.empty(image.shape, dtype=np.int16)
    for n in range(k):
        page = np.roll(library[rng.integers(16)], tuple(rng.integers((j, i))), axis=(0, 1))
        # Air is quieter than tissue: less light is lost on the way.
        quiet = np.where(image[n] < -900, np.float32(0.4), np.float32(1.0))
        out[n] = np.clip(np.rint(image[n] + quiet * page), -1024, 3071).astype(np.int16)
    return out


def named_roots(anatomy: Anatomy) -> Mapping[str, Field]:
    """Return the roots that are drawn as structures, by name and side."""
    return {n: f for n, f in anatomy.root_fields.items() if n.split("_")[0] in ROOTS}
