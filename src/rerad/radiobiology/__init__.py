"""What dose does: EQD2, recovery, tolerance."""
