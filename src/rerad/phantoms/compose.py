"""From shapes to CT numbers: painting in the order of anatomy, then noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.kernels.phantom import paint, sample_noise
from rerad.phantoms.envelope import COUCH_SHELL_MM, Envelope, build_envelope
from rerad.phantoms.muscles import muscle_field, muscle_names, sphincter_field
from rerad.phantoms.nerves import ROOTS, Nerves, build_nerves
from rerad.phantoms.organs import Organs, build_organs
from rerad.phantoms.shapes import Field, Placement, carved, tube, within
from rerad.phantoms.skeleton import Skeleton, build_skeleton
from rerad.phantoms.visit import PelvisVisit

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Tissue:
    """What a painted shape looks like on CT.

    Parameters
    ----------
    hu, texture_hu : float
        Mean CT number of the core and standard deviation of its texture.
    grain_mm : float
        Size of the texture.
    shell_hu, shell_mm, shell_texture_hu : float
        A layer inside the surface: cortex, wall.
    rim_hu, rim_mm : float
        A layer outside the surface: fat plane, cartilage.
    edge_mm : float
        Width over which the edge is blurred.
    """

    hu: float
    texture_hu: float = 0.0
    grain_mm: float = 3.0
    shell_hu: float = 0.0
    shell_mm: float = 0.0
    shell_texture_hu: float = 0.0
    rim_hu: float = 0.0
    rim_mm: float = 0.0
    edge_mm: float = 1.3


FAT = Tissue(-104, 9, 3.0, shell_hu=15, shell_mm=2.2, edge_mm=1.6)
VISCERAL_FAT = Tissue(-104, 13, 2.2)
MUSCLE = Tissue(58, 11, 2.2, rim_hu=-80, rim_mm=1.1)
WALL_MUSCLE = Tissue(54, 10, 2.2)
VESSEL = Tissue(46, 3, 3.0, rim_hu=-90, rim_mm=1.0)
NERVE = Tissue(38, 4, 2.0, rim_hu=-85, rim_mm=1.2, edge_mm=1.0)
HIP = Tissue(170, 70, 1.8, shell_hu=860, shell_mm=1.7, shell_texture_hu=120)
FEMUR = Tissue(215, 70, 1.8, shell_hu=900, shell_mm=1.9, shell_texture_hu=110)
VERTEBRA = Tissue(150, 65, 1.6, shell_hu=620, shell_mm=1.3, shell_texture_hu=120)
SACRUM = Tissue(90, 65, 1.8, shell_hu=560, shell_mm=1.4, shell_texture_hu=120)
MARROW = Tissue(-30, 25, 3.0, edge_mm=2.0)
DISC = Tissue(82, 8, 3.0)
CARTILAGE = Tissue(70, 8, 3.0)
SAC = Tissue(18, 5, 2.0)
BLADDER = Tissue(8, 2, 4.0, shell_hu=34, shell_mm=2.8, rim_hu=-95, rim_mm=0.8)
COLON = Tissue(-20, 90, 3.2, shell_hu=40, shell_mm=2.6, rim_hu=-100, rim_mm=1.0)
BOWEL = Tissue(22, 8, 3.0, shell_hu=45, shell_mm=2.0)
GAS = Tissue(-960, 8, 3.0, edge_mm=1.2)
CUFF = Tissue(50, 10, 2.5)
COUCH = Tissue(-930, 5, 4.0, shell_hu=-40, shell_mm=COUCH_SHELL_MM, edge_mm=1.0)


@dataclass(eq=False)
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
    gas : dict of str to Field
        Gas in rectum and colon.
    """

    place: Placement
    envelope: Envelope
    skeleton: Skeleton
    organs: Organs
    nerves: Nerves
    root_fields: dict[str, Field]
    sciatic: dict[str, Field]
    sac: Field
    muscles: dict[str, Field] = field(default_factory=dict)
    gas: dict[str, Field] = field(default_factory=dict)


def build_anatomy(place: Placement, visit: PelvisVisit) -> Anatomy:
    """Return the shapes of a visit on its grid."""
    nerves = build_nerves(place.spine, has_lesion=visit.has_lesion)
    roots = {name: place.tubes(segments) for name, segments in nerves.roots.items()}
    # Foramina are those of the healthy nerves on both days: bone does not change in between.
    healthy = build_nerves(place.spine, has_lesion=False)
    channel = place.tubes(*healthy.roots.values(), *healthy.sciatic.values())
    rng = np.random.default_rng(visit.bowel_seed)
    return Anatomy(
        place=place,
        envelope=build_envelope(place),
        skeleton=build_skeleton(place, channel),
        organs=build_organs(place, visit.bladder_volume_cc, rng),
        nerves=nerves,
        root_fields=roots,
        sciatic={side: place.tubes(nerves.sciatic[side]) for side in "LR"},
        sac=_thecal_sac(place),
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
    """A CT volume while it is painted.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    seed : int
        Of the texture.
    """

    def __init__(self, place: Placement, seed: int) -> None:
        self.place = place
        self.image = np.full(place.grid.shape, -1000.0, dtype=np.float32)
        self.texture = make_texture(seed)
        self._matrix = place.index_to_anatomy

    def paint(self, shape: Field, tissue: Tissue) -> None:
        """Paint a tissue where the field is negative."""
        t = tissue
        core = [t.hu, t.texture_hu, t.grain_mm]
        layers = [t.shell_hu, t.shell_mm, t.shell_texture_hu, t.rim_hu, t.rim_mm]
        numbers = np.array([*core, *layers, t.edge_mm])
        start = np.asarray(shape.start, dtype=np.int64)
        paint(self.image, start, shape.sdf, numbers, self.texture, self._matrix)


def make_texture(seed: int) -> NDArray[np.float32]:
    """Return a periodic cube of correlated noise of mean 0 and standard deviation 1."""
    rng = np.random.default_rng([seed, 1])
    cube = gaussian_filter(rng.standard_normal((64, 64, 64)), 0.7, mode="wrap")
    cube = (cube - cube.mean()) / cube.std()
    return cube.astype(np.float32)


def paint_anatomy(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint everything from the skin inwards; later tissues cover earlier ones."""
    env, bones, organs = anatomy.envelope, anatomy.skeleton, anatomy.organs
    canvas.paint(env.couch, COUCH)
    canvas.paint(env.body, FAT)
    _paint_wall(anatomy, canvas)
    _paint_muscles(anatomy, canvas)
    _paint_organs(anatomy, canvas)
    _paint_bones(bones, canvas, anatomy.place)
    canvas.paint(bones.canal, Tissue(-60, 8, 2.0))
    canvas.paint(anatomy.sac, SAC)
    for root in (*anatomy.root_fields.values(), *anatomy.sciatic.values()):
        canvas.paint(root, NERVE)
    for vessel in (organs.other_vessels, *organs.vessels.values()):
        canvas.paint(vessel, VESSEL)


def _paint_wall(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint the three flat muscles of the abdominal wall and the fat inside it."""
    cavity, body = anatomy.envelope.cavity, anatomy.envelope.body
    k, j, i = np.indices(cavity.sdf.shape, sparse=True)
    m = anatomy.place.index_to_anatomy
    index = (i + cavity.start[2], j + cavity.start[1], k + cavity.start[0])
    x, y, z = (
        m[a, 0] * index[0] + m[a, 1] * index[1] + m[a, 2] * index[2] + m[a, 3] for a in range(3)
    )
    # Lateral of the semilunar line, above the iliac crest and the inguinal ligament, in front
    # of the lumbar fascia.
    ligament = 20.0 + 0.62 * np.abs(x)
    side = np.maximum(np.maximum(61.0 - np.abs(x), y - 34.0), ligament - z)
    for inner, outer in ((0.3, 3.6), (4.6, 9.6), (10.6, 15.4)):
        layer = np.maximum(cavity.sdf - outer, inner - cavity.sdf)
        sheet = Field(cavity.start, np.maximum(layer, side).astype(np.float32))
        canvas.paint(within(sheet, body, 6.0), WALL_MUSCLE)
    canvas.paint(cavity, VISCERAL_FAT)


def _paint_muscles(anatomy: Anatomy, canvas: Canvas) -> None:
    place, bones = anatomy.place, anatomy.skeleton
    for name in muscle_names():
        for side in "LR":
            shape = within(muscle_field(place, name, side), anatomy.envelope.body, 3.5)
            canvas.paint(shape, MUSCLE)
            if name in ("Psoas", "Piriformis", "GluteusMax"):
                anatomy.muscles[f"{name}_{side}"] = carved(
                    shape, bones.hips[side], bones.sacrum, bones.femurs[side]
                )
    canvas.paint(sphincter_field(place), MUSCLE)


def _paint_organs(anatomy: Anatomy, canvas: Canvas) -> None:
    place, organs = anatomy.place, anatomy.organs
    cavity = anatomy.envelope.cavity
    loops = carved(
        within(organs.loops, cavity, 1.5), organs.bladder, *organs.colon.values(), gap_mm=1.5
    )
    canvas.paint(loops, BOWEL)
    canvas.paint(within(organs.loop_gas, loops, 2.4), GAS)
    canvas.paint(organs.ureters, Tissue(30))
    canvas.paint(organs.vagina, CUFF)
    canvas.paint(organs.cuff, CUFF)
    canvas.paint(organs.bladder, BLADDER)
    for name, shape in organs.colon.items():
        inside = shape if name == "Rectum" else carved(shape, organs.bladder, gap_mm=1.0)
        canvas.paint(inside, COLON)
        gas = colon_gas(place, shape, canvas.texture, 0.55 if name == "Rectum" else 0.1)
        canvas.paint(gas, GAS)
        anatomy.gas[name] = gas
    anatomy.muscles["Bowel_Small"] = loops


def colon_gas(
    place: Placement, shape: Field, texture: NDArray[np.float32], threshold: float
) -> Field:
    """Return gas in the upper part of a piece of large bowel where a slow texture is high."""
    step = np.asarray(place.grid.spacing_mm)
    noise = sample_noise(
        place.first_mm(shape.start), step, shape.sdf.shape, place.to_anatomy, texture, 13.0
    )
    bubble = (threshold - noise) * np.float32(7.0)
    return Field(shape.start, np.maximum(shape.sdf + np.float32(3.2), bubble))


def _paint_bones(bones: Skeleton, canvas: Canvas, place: Placement) -> None:
    capsule = {side: Field(f.start, f.sdf - np.float32(3.4)) for side, f in bones.heads.items()}
    canvas.paint(
        place.tubes(tube([(0, -43, -6, 6), (0, -40, -22, 6), (0, -36, -36, 5)])), CARTILAGE
    )
    canvas.paint(bones.discs, DISC)
    for side in "LR":
        canvas.paint(capsule[side], CARTILAGE)
    for shape in bones.vertebrae.values():
        canvas.paint(shape, VERTEBRA)
    canvas.paint(bones.sacrum, SACRUM)
    for side in "LR":
        canvas.paint(bones.hips[side], HIP)
        canvas.paint(bones.femurs[side], FEMUR)
        sign = 1 if side == "L" else -1
        marrow = tube(
            [(sign * 123, 8, -52, 5), (sign * 119, 2, -110, 7.5), (sign * 114, 0, -210, 7)]
        )
        canvas.paint(place.tubes(marrow), MARROW)


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
