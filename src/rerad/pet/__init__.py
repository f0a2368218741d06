"""Standardised uptake values."""

from rerad.pet.suv import to_suv

__all__ = ["to_suv"]
