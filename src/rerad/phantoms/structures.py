"""Organs, bones, vessels and nerves of a visit as masks with TG-263 names."""

import numpy as np

from rerad.core import Mask, StructureKind
from rerad.phantoms.compose import Anatomy, named_roots
from rerad.phantoms.fields import Field, carved, mask_of, union, within
from rerad.phantoms.nerves import ROOTS

PLEXUS_MARGIN_MM = 1.5
"""How much wider than the nerves the plexus is contoured."""

PLEXUS_END_MM = 15.0
"""Height above the hip centre at which the contoured plexus ends, near the top of the head."""


def draw_structures(anatomy: Anatomy) -> dict[str, Mask]:
    """Return all structures but the targets."""
    shapes = {**_bones(anatomy), **_soft(anatomy), **_nerves(anatomy)}
    kinds = {"Body": StructureKind.EXTERNAL, "CouchSurface": StructureKind.SUPPORT}
    return {
        name: mask_of(
            name,
            kinds.get(name, StructureKind.OAR),
            shape.sdf < 0,
            shape.start,
            anatomy.place.grid,
        )
        for name, shape in shapes.items()
    }


def _bones(anatomy: Anatomy) -> dict[str, Field]:
    bones = anatomy.skeleton
    shapes = {f"VB_{name}": bones.vertebrae[name] for name in ("L3", "L4", "L5")}
    shapes["Sacrum"] = bones.sacrum
    for side in "LR":
        shapes[f"Bone_Ilium_{side}"] = bones.hips[side]
        shapes[f"Femur_{side}"] = bones.femurs[side]
        shapes[f"Femur_Head_{side}"] = bones.heads[side]
    return shapes


def _soft(anatomy: Anatomy) -> dict[str, Field]:
    organs = anatomy.organs
    shapes = {
        "Body": anatomy.envelope.body,
        "CouchSurface": anatomy.envelope.couch,
        "Bladder": organs.bladder,
        "VaginalCuff": organs.cuff,
        "Vagina": carved(organs.vagina, organs.cuff),
        "Bowel_Small": organs.loops,
        "Bag_Bowel": _bowel_bag(anatomy),
        **organs.colon,
        **organs.vessels,
    }
    return {**shapes, **anatomy.muscles}


def _bowel_bag(anatomy: Anatomy) -> Field:
    """Small and large bowel above the rectum with what lies between, inside the cavity."""
    organs, bones = anatomy.organs, anatomy.skeleton
    gut = union(organs.loops, organs.colon["Colon_Sigmoid"], organs.colon["Colon"])
    bag = within(Field(gut.start, gut.sdf - np.float32(5.0)), anatomy.envelope.cavity, 1.0)
    others = [organs.bladder, organs.colon["Rectum"], organs.other_vessels]
    others += [*organs.vessels.values(), *bones.hips.values(), bones.sacrum, bones.discs]
    others += [bones.vertebrae[name] for name in ("L3", "L4", "L5")]
    others += [anatomy.muscles[f"Psoas_{side}"] for side in "LR"]
    return union(carved(bag, *others), organs.loops)


def _nerves(anatomy: Anatomy) -> dict[str, Field]:
    shapes = {"ThecalSac": anatomy.sac}
    shapes["CaudaEquina"] = Field(anatomy.sac.start, anatomy.sac.sdf + np.float32(1.0))
    for name, shape in named_roots(anatomy).items():
        shapes[f"NervRoot_{name}"] = shape
    place = anatomy.place
    for side in "LR":
        parts = [anatomy.nerves.roots[f"{name}_{side}"][8:] for name in ROOTS]
        sciatic = anatomy.nerves.sciatic[side]
        parts.append(sciatic[0.5 * (sciatic[:, 2] + sciatic[:, 6]) > PLEXUS_END_MM])
        plexus = place.tubes(*parts)
        shapes[f"SacralPlex_{side}"] = Field(
            plexus.start, plexus.sdf - np.float32(PLEXUS_MARGIN_MM)
        )
    return shapes
