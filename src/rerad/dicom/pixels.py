"""Stored pixel values of a data set, and what says how they are stored."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from rerad.dicom.headers import count_of, text_of
from rerad.errors import DicomError


def stored_pixels(dataset: Dataset, n_frames: int, where: str) -> NDArray[Any]:
    """Return the stored values, before any rescaling.

    Parameters
    ----------
    dataset : Dataset
        Grey-scale image with 8, 16 or 32 bits allocated.
    n_frames : int
        Frames that the header promises.
    where : str
        File name, for messages.

    Returns
    -------
    ndarray of shape (n_frames, rows, columns)
        Integers.

    Raises
    ------
    DicomError
        If pixel data are absent, too short, or compressed in a way that no decoder here reads.
    """
    rows, columns = count_of(dataset, "Rows"), count_of(dataset, "Columns")
    if rows < 1 or columns < 1 or "PixelData" not in dataset:
        msg = f"{where}: expected pixel data, found none; the file breaks off, export it again"
        raise DicomError(msg)
    if count_of(dataset, "SamplesPerPixel", 1) != 1:
        msg = f"{where}: expected one value per pixel, got colour; only grey-scale images are read"
        raise DicomError(msg)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax.is_compressed and not syntax.is_deflated:
        return _decompressed(dataset, (n_frames, rows, columns), where)
    bits = count_of(dataset, "BitsAllocated")
    kind = "i" if count_of(dataset, "PixelRepresentation") else "u"
    if bits not in {8, 16, 32}:
        msg = f"{where}: expected 8, 16 or 32 bits per pixel, got {bits}"
        raise DicomError(msg)
    used = count_of(dataset, "BitsStored", bits)
    if not 0 < used <= bits:
        msg = f"{where}: expected 1 to {bits} bits in use per pixel, got {used}; export it again"
        raise DicomError(msg)
    order = "<" if syntax.is_little_endian else ">"
    expected = n_frames * rows * columns * bits // 8
    found = len(dataset.PixelData)
    if found < expected:
        msg = (
            f"{where}: expected {expected} bytes of pixel data, found {found}; the file is "
            "truncated, export or copy it again"
        )
        raise DicomError(msg)
    flat = np.frombuffer(
        dataset.PixelData, dtype=f"{order}{kind}{bits // 8}", count=expected * 8 // bits
    )
    values = flat.reshape(n_frames, rows, columns).astype(f"{kind}{bits // 8}", copy=False)
    return _without_unused_bits(values, bits - used)


def _without_unused_bits(values: NDArray[Any], n_unused: int) -> NDArray[Any]:
    """Clear high bits that may hold overlays, keeping the sign."""
    return values if n_unused == 0 else (values << n_unused) >> n_unused


def _decompressed(dataset: Dataset, shape: tuple[int, int, int], where: str) -> NDArray[Any]:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        return np.asarray(dataset.pixel_array).reshape(shape)
    except (RuntimeError, NotImplementedError, AttributeError, ValueError, EOFError) as error:
        msg = (
            f"{where}: expected pixels that can be decoded, got {syntax.name}; "
            "export the series uncompressed (Explicit VR Little Endian)"
        )
        raise DicomError(msg) from error


def set_pixels(dataset: Dataset, values: NDArray[Any]) -> None:
    """Set the pixel module of a grey-scale image.

    Parameters
    ----------
    dataset : Dataset
        Changed in place.
    values : ndarray of shape (rows, columns) or (frames, rows, columns)
        int16, uint16 or uint32.
    """
    bits = values.dtype.itemsize * 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated = bits
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(values).astype(f"<{values.dtype.str[1:]}").tobytes()
    dataset["PixelData"].VR = "OW"


def describe_file(dataset: Dataset, name: str) -> str:
    """Return how messages name a file: its name and what it is."""
    modality = text_of(dataset, "Modality")
    return f"{name} ({modality})" if modality else name
