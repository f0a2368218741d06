"""Spatial registration objects (REG): transforms that another system found.

A Spatial Registration holds, for each frame of reference, the matrix that carries its points into
the object's own frame. Only rigid matrices are used; a matrix that scales or shears is refused by
name, because distances and volumes would change on the way. A Deformable Spatial Registration
holds a grid of displacements besides.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage

from rerad.core import DisplacementField, Grid, RigidTransform
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import items_of, numbers_of, text_of
from rerad.errors import DicomError, FrameMismatchError, InputError


@dataclass(frozen=True, eq=False, slots=True)
class SpatialRegistration:
    """The transforms of a REG object.

    Parameters
    ----------
    frame_uid : str
        Frame of reference that every transform leads to.
    transforms : tuple of RigidTransform
        One for each other frame that the object names.
    label : str
        Content label or description.
    instance_uid : str
        Of the object.
    """

    frame_uid: str
    transforms: tuple[RigidTransform, ...]
    label: str
    instance_uid: str

    def between(self, from_frame_uid: str, to_frame_uid: str) -> RigidTransform:
        """Return the transform from one frame to another, through the object's own frame.

        Raises
        ------
        FrameMismatchError
            If the object does not name both.
        """
        steps = {item.from_frame_uid: item for item in self.transforms}
        steps.setdefault(self.frame_uid, RigidTransform.identity(self.frame_uid))
        missing = [uid for uid in (from_frame_uid, to_frame_uid) if uid not in steps]
        if missing:
            msg = (
                f"registration {self.instance_uid}: expected frames {from_frame_uid} and "
                f"{to_frame_uid}, it does not name {', '.join(missing)}; give the REG that was "
                "made for these two images"
            )
            raise FrameMismatchError(msg)
        return steps[from_frame_uid].then(steps[to_frame_uid].inverse())


@guard_parser
def read_registration(path: Path) -> SpatialRegistration:
    """Read a Spatial Registration.

    Parameters
    ----------
    path : Path
        REG of SOP class Spatial Registration.

    Raises
    ------
    DicomError
        If the file is something else, names no transform, or a matrix is not rigid.
    """
    path = Path(path)
    dataset = read_dataset(path)
    if text_of(dataset, "SOPClassUID") != SpatialRegistrationStorage:
        msg = (
            f"{path.name}: expected a spatial registration (REG), got "
            f"{text_of(dataset, 'Modality') or 'an object of unknown modality'} of class "
            f"{text_of(dataset, 'SOPClassUID') or 'unknown'}; give the REG file"
        )
        raise DicomError(msg)
    to_frame = text_of(dataset, "FrameOfReferenceUID")
    if not to_frame:
        msg = f"{path.name}: expected a Frame of Reference UID, found none; export it again"
        raise DicomError(msg)
    transforms = []
    for number, item in enumerate(items_of(dataset, "RegistrationSequence")):
        where = f"{path.name}, registration {number + 1}"
        from_frame = text_of(item, "FrameOfReferenceUID")
        if not from_frame or from_frame == to_frame:
            continue
        matrix = matrix_of(item, "MatrixRegistrationSequence", where)
        transforms.append(rigid(matrix, from_frame, to_frame, where))
    if not transforms:
        msg = f"{path.name}: expected a transform between two frames, found none; export it again"
        raise DicomError(msg)
    return SpatialRegistration(
        frame_uid=to_frame,
        transforms=tuple(transforms),
        label=text_of(dataset, "ContentLabel") or text_of(dataset, "ContentDescription"),
        instance_uid=text_of(dataset, "SOPInstanceUID"),
    )


def matrix_of(item: Dataset, sequence: str, where: str) -> NDArray[np.float64]:
    """Return the product of the matrices of a matrix registration, identity if there is none.

    Notes
    -----
    PS3.3 C.20.2.1.1: items of Matrix Sequence are applied in order, the first item first.
    """
    product = np.eye(4)
    for registration in items_of(item, sequence):
        # Pre- and post-deformation items hold their matrix themselves.
        for step in items_of(registration, "MatrixSequence") or [registration]:
            values = numbers_of(step, "FrameOfReferenceTransformationMatrix")
            if len(values) != 16:
                msg = f"{where}: expected a matrix of 16 numbers, got {len(values)}"
                raise DicomError(msg)
            product = np.asarray(values, dtype=np.float64).reshape(4, 4) @ product
    return product


def rigid(
    matrix: NDArray[np.float64], from_frame_uid: str, to_frame_uid: str, where: str
) -> RigidTransform:
    """Return a matrix as a rigid transform, or refuse it.

    The decimal strings of DICOM round a rotation to about 1e-6; the nearest proper rotation is
    taken if it differs by no more than 1e-4.
    """
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    nearest = u @ vt
    if np.abs(nearest - matrix[:3, :3]).max() > 1e-4:
        msg = (
            f"{where}: expected a rigid matrix, got one that scales or shears; register rigidly, "
            "or give a deformable registration"
        )
        raise DicomError(msg)
    fixed = matrix.copy()
    fixed[:3, :3] = nearest
    try:
        return RigidTransform(fixed, from_frame_uid, to_frame_uid)
    except InputError as error:
        msg = f"{where}: {error}; export the registration again"
        raise DicomError(msg) from error


@guard_parser
def is_deformable_registration(path: Path) -> bool:
    """Return whether a file says that it is a Deformable Spatial Registration."""
    return text_of(read_dataset(Path(path)), "SOPClassUID") == DeformableSpatialRegistrationStorage


@guard_parser
def read_deformable_registration(path: Path) -> tuple[DisplacementField, ...]:
    """Read a Deformable Spatial Registration.

    Parameters
    ----------
    path : Path
        REG of SOP class Deformable Spatial Registration.

    Returns
    -------
    tuple of DisplacementField
        One for each source frame that comes with a grid; each leads from it to the object's own
        frame.

    Raises
    ------
    DicomError
        If the file is something else, its grid is not along the patient axes, or a matrix is
        applied before the grid (the grid's place is then read differently by different systems).

    Notes
    -----
    PS3.3 C.20.3: a point of the registered frame plus its vector, then the post-deformation
    matrix, is the point of the source frame.
    """
    path = Path(path)
    dataset = read_dataset(path)
    if text_of(dataset, "SOPClassUID") != DeformableSpatialRegistrationStorage:
        msg = (
            f"{path.name}: expected a deformable spatial registration (REG), got "
            f"{text_of(dataset, 'Modality') or 'an object of unknown modality'} of class "
            f"{text_of(dataset, 'SOPClassUID') or 'unknown'}; give the REG file"
        )
        raise DicomError(msg)
    to_frame = text_of(dataset, "FrameOfReferenceUID")
    fields = []
    for number, item in enumerate(items_of(dataset, "DeformableRegistrationSequence")):
        where = f"{path.name}, registration {number + 1}"
        grids = items_of(item, "DeformableRegistrationGridSequence")
        from_frame = text_of(item, "SourceFrameOfReferenceUID")
        if not grids or not from_frame or from_frame == to_frame:
            continue
        before = matrix_of(item, "PreDeformationMatrixRegistrationSequence", where)
        if not np.allclose(before, np.eye(4), atol=1e-6):
            msg = (
                f"{where}: a matrix is applied before the deformation grid, and systems differ in "
                "where the grid lies then; export it with the matrix after the deformation"
            )
            raise DicomError(msg)
        to_source = matrix_of(item, "PostDeformationMatrixRegistrationSequence", where)
        back = rigid(to_source, to_frame, from_frame, where)
        grid, vectors = _vectors(grids[0], to_frame, where)
        fields.append(DisplacementField(vectors, grid, back.inverse()))
    if not fields:
        msg = f"{path.name}: expected a deformation grid, found none; export it again"
        raise DicomError(msg)
    return tuple(fields)


def _vectors(item: Dataset, frame_uid: str, where: str) -> tuple[Grid, NDArray[np.float32]]:
    """Return the grid of a deformation and its vectors ``(x, y, z)`` in mm."""
    origin = numbers_of(item, "ImagePositionPatient")
    directions = numbers_of(item, "ImageOrientationPatient")
    sizes = [int(v) for v in numbers_of(item, "GridDimensions")]
    spacing = numbers_of(item, "GridResolution")
    if not np.allclose(directions, (1, 0, 0, 0, 1, 0), atol=1e-5) or len(origin) != 3:
        msg = (
            f"{where}: expected a deformation grid along the patient axes, got directions "
            f"{directions}; export it on an axial grid"
        )
        raise DicomError(msg)
    data = item.get("VectorGridData")
    raw = b"" if data is None else bytes(data)
    if len(sizes) != 3 or len(spacing) != 3 or len(raw) < 12 * int(np.prod(sizes)):
        msg = (
            f"{where}: expected {sizes} vectors of three 32-bit numbers, got {len(raw)} bytes; "
            "export it again"
        )
        raise DicomError(msg)
    shape = (sizes[2], sizes[1], sizes[0])
    vectors = np.frombuffer(raw, dtype="<f4", count=3 * int(np.prod(sizes))).reshape(*shape, 3)
    place = (origin[0], origin[1], origin[2])
    grid = Grid(shape, place, (spacing[0], spacing[1], spacing[2]), frame_uid)
    if not np.isfinite(vectors).all():
        msg = f"{where}: the deformation holds vectors that are not numbers; export it again"
        raise DicomError(msg)
    return grid, np.array(vectors)
