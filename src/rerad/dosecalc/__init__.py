"""Dose from beams."""
