"""The DICOM files of a case, found by UID."""

import hashlib
from pathlib import Path

from rerad import dicom
from rerad.core import Finding, Image, InputRecord, StructureSet
from rerad.errors import CaseError


class DataFolder:
    """The DICOM files of a case, found by UID.

    Parameters
    ----------
    case_file : Path
        For messages.
    folder : Path
        Where the files are.
    """

    def __init__(self, case_file: Path, folder: Path) -> None:
        if not folder.is_dir():
            msg = f"{case_file}: data.folder names {folder}, which is not a folder"
            raise CaseError(msg)
        self.case_file = case_file
        self.scan = dicom.scan_folder(folder)
        self._items = {item.uid: item for item in self.scan.items}
        self.records: list[InputRecord] = []
        self.findings: list[Finding] = list(self.scan.findings)

    def paths(self, key: str, uid: str, kind: str) -> list[Path]:
        """Return the files of a series or object, or say which key names what is not there."""
        item = self._items.get(uid)
        if item is None:
            known = ", ".join(i.uid for i in self.scan.items if i.kind == kind) or "none"
            msg = (
                f"{self.case_file}: {key}: no {kind} with UID {uid!r} in the data folder; {known}"
            )
            raise CaseError(msg)
        if item.kind != kind:
            msg = f"{self.case_file}: {key}: expected a {kind}, got the {item.kind} {uid}"
            raise CaseError(msg)
        self.records.append(InputRecord(f"{key} ({kind})", uid, _sha256(item.paths)))
        return list(item.paths)

    def image(self, key: str, uid: str, kind: str = "CT") -> Image:
        """Read a series."""
        return dicom.read_image(self.paths(key, uid, kind))

    def structures(self, key: str, uid: str, image: Image) -> StructureSet:
        """Read a structure set drawn on an image, or refuse one of another frame."""
        path = self.paths(key, uid, "RTSTRUCT")[0]
        self.findings.extend(dicom.check_structure_set(path, image))
        return dicom.read_structure_set(path, image)


def _sha256(paths: tuple[Path, ...]) -> str:
    """Return one hash over the files in order of name."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()
