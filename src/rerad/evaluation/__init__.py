"""Reading a dose: DVH, metrics, goals."""
