"""Fluence to leaves."""
