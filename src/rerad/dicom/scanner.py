"""Which scanner made a series."""

from pathlib import Path

from rerad.core.scanner import Scanner
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import number_of, text_of


@guard_parser
def read_scanner(path: Path) -> Scanner:
    """Read which scanner made an image, and at which voltage.

    Parameters
    ----------
    path : Path
        Any file of the series.

    Returns
    -------
    Scanner
        Unknown values empty or None.

    Raises
    ------
    DicomError
        If the file cannot be read.
    """
    dataset = read_dataset(path)
    kvp = number_of(dataset, "KVP")
    return Scanner(
        manufacturer=text_of(dataset, "Manufacturer"),
        model=text_of(dataset, "ManufacturerModelName"),
        station=text_of(dataset, "StationName"),
        kvp=kvp if kvp is not None and kvp > 0 else None,
    )
