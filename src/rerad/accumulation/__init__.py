"""Dose over courses."""
