"""Synthetic patients, deterministic from a seed."""
