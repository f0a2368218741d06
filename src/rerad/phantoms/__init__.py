"""Synthetic patients, deterministic from a seed."""

from rerad.phantoms.pelvis import make_pelvis
from rerad.phantoms.visit import PelvisPhantom, PelvisVisit

__all__ = ["PelvisPhantom", "PelvisVisit", "make_pelvis"]
