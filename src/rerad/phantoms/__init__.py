"""Synthetic patients, deterministic from a seed."""

from rerad.phantoms.pelvis import make_pelvis
from rerad.phantoms.tg119 import Tg119Case, make_c_shape, make_multi_target
from rerad.phantoms.visit import PelvisPhantom, PelvisVisit

__all__ = [
    "PelvisPhantom",
    "PelvisVisit",
    "Tg119Case",
    "make_c_shape",
    "make_multi_target",
    "make_pelvis",
]
