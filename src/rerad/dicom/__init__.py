"""Files and network: the only room that knows pydicom."""
