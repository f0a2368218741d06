"""Where things are: IEC 61217 and DICOM patient systems."""
