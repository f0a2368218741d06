"""Fluence from objectives on cumulative EQD2."""
