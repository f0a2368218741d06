"""Reading one DICOM file, and writing so that nothing is ever half written.

A file is written beside its place under a temporary name and renamed when complete; a folder of
slices likewise. A rename within one folder either happens or does not.
"""

import functools
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from rerad.errors import DicomError

P = ParamSpec("P")
R = TypeVar("R")

UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of an element that ends with a delimiter."""

UNCOMPRESSED = {
    str(ImplicitVRLittleEndian),
    str(ExplicitVRLittleEndian),
    str(ExplicitVRBigEndian),
}
"""Transfer syntaxes in which pixels take as many bytes as they have."""

SHORTEST_HEADER = 8
"""Bytes of tag, representation and length before any value."""

UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OverflowError,
)
"""What the parser raises on bytes that are not DICOM or that stop too early."""


def guard_parser(read: Callable[P, R]) -> Callable[P, R]:
    """Make a reader pass over small faults of other systems' files and name the large ones.

    The parser reads a value when it is asked for it, so damage may show anywhere in a reader: it
    becomes a `DicomError` here. It also warns of values that break a rule of their
    representation, such as a decimal string of 17 characters; those are the sender's to mend.
    """

    @functools.wraps(read)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                return read(*args, **kwargs)
            except UNREADABLE as error:
                if not _comes_from_parser(error):
                    raise
                name = args[0].name if args and isinstance(args[0], Path) else "a file"
                msg = (
                    f"{name}: expected DICOM values, found some that cannot be interpreted "
                    f"({first_line(error)}); export or copy it again"
                )
                raise DicomError(msg) from error

    return guarded


def _comes_from_parser(error: BaseException) -> bool:
    """Return whether an error was raised inside pydicom, not by rerad."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and step.tb_frame.f_globals["__name__"].startswith("pydicom.")


def read_dataset(path: Path) -> Dataset:
    """Read one whole DICOM file, with or without file meta information.

    Parameters
    ----------
    path : Path
        File to read. Without a preamble it is taken as a bare data set, as some planning systems
        write it.

    Returns
    -------
    Dataset
        With its transfer syntax set.

    Raises
    ------
    DicomError
        If the file is absent, is not DICOM or breaks off.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"expected a DICOM file at {path}, found none; check the path"
        raise DicomError(msg)
    try:
        dataset = pydicom.dcmread(path, force=True)
        has_class = "SOPClassUID" in dataset
    except UNREADABLE as error:
        msg = (
            f"expected a complete DICOM file, but {path.name} cannot be parsed "
            f"({first_line(error)}); export or copy it again"
        )
        raise DicomError(msg) from error
    if not has_class:
        msg = f"expected a DICOM object, but {path.name} has no SOP Class UID; it is not DICOM"
        raise DicomError(msg)
    _require_complete(dataset, path)
    set_transfer_syntax(dataset)
    return dataset


def first_line(error: Exception) -> str:
    """Return what an error says, for use within a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip()


def _require_complete(dataset: Dataset, path: Path) -> None:
    """Refuse a file whose last element is shorter than it says, or is not even begun.

    The parser passes over this in silence, and half a structure set looks like a whole one.
    """
    tags = list(dataset.keys())
    for tag in tags:
        element = dataset.get_item(tag)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            continue
        found = len(element.value) if element.value is not None else 0
        if found < element.length:
            msg = (
                f"{path.name}: expected {element.length} bytes of {element.tag}, found {found}; "
                "the file is truncated, export or copy it again"
            )
            raise DicomError(msg)
    last = dataset.get_item(max(tags)) if tags else None
    meta = getattr(dataset, "file_meta", None) or {}
    if isinstance(last, RawDataElement) and last.length != UNDEFINED_LENGTH:
        _require_no_stray_bytes(path, last.value_tell + last.length, meta)


def _require_no_stray_bytes(path: Path, end: int, meta: Mapping[Any, Any]) -> None:
    """Refuse bytes after the last element: the parser takes half a header for the end."""
    syntax = meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        return
    with path.open("rb") as handle:
        handle.seek(end)
        rest = handle.read(SHORTEST_HEADER)
    if 0 < len(rest) < SHORTEST_HEADER and any(rest):
        msg = f"{path.name}: expected an element after byte {end}, but the file is truncated there"
        msg += "; export or copy it again"
        raise DicomError(msg)


def set_transfer_syntax(dataset: Dataset) -> None:
    """Note how a data set without file meta information turned out to be encoded."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        meta = FileMetaDataset()
        dataset.file_meta = meta
    if "TransferSyntaxUID" in meta:
        return
    is_implicit, is_little_endian = dataset.original_encoding
    syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    if not is_implicit and not is_little_endian:
        syntax = ExplicitVRBigEndian
    meta.TransferSyntaxUID = syntax


def write_dataset(dataset: Dataset, path: Path) -> None:
    """Write a data set as explicit VR little endian, complete or not at all.

    Parameters
    ----------
    dataset : Dataset
        With SOP Class and Instance UIDs.
    path : Path
        Where to; folders are made, a file of that name is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
    ) as handle:
        part = Path(handle.name)
    try:
        _save(dataset, part)
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_folder(datasets: Iterable[tuple[str, Dataset]], folder: Path) -> None:
    """Write a series as one folder, complete or not at all.

    Parameters
    ----------
    datasets : iterable of (str, Dataset)
        File name and data set of each slice; they may be made one at a time.
    folder : Path
        Must be absent or empty.

    Raises
    ------
    DicomError
        If the folder holds anything.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"expected {folder} to be absent or empty, but it holds files; choose another folder"
        raise DicomError(msg)
    with _folder_beside(folder) as part:
        for name, dataset in datasets:
            _save(dataset, part / name)
        part.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)


@contextmanager
def _folder_beside(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _save(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    try:
        dataset.save_as(path, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path.name} cannot be written as DICOM ({first_line(error)}); nothing was written"
        raise DicomError(msg) from error
