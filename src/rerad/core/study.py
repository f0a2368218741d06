"""What one treatment planning study holds."""

from dataclasses import dataclass, field

from rerad.core.dose import Dose
from rerad.core.image import Image
from rerad.core.plan import Plan
from rerad.core.structure import Structure
from rerad.errors import StructureNotFoundError


@dataclass(frozen=True, eq=False, slots=True)
class StructureSet:
    """Structures of one RTSTRUCT.

    Parameters
    ----------
    label : str
        Structure Set Label.
    structures : tuple of Structure
        All in one frame of reference.
    instance_uid : str
        SOP Instance UID; empty if not from DICOM.
    referenced_series_uid : str
        Image series that it was drawn on; empty if not said.
    """

    label: str
    structures: tuple[Structure, ...]
    instance_uid: str = ""
    referenced_series_uid: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "structures", tuple(self.structures))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(structure.name for structure in self.structures)

    def __getitem__(self, name: str) -> Structure:
        """Return the structure of that name, or raise `StructureNotFoundError`."""
        for structure in self.structures:
            if structure.name == name:
                return structure
        msg = f"structure {name!r} is not in {self.label!r}; it holds {', '.join(self.names)}"
        raise StructureNotFoundError(msg)

    def __contains__(self, name: object) -> bool:
        return name in self.names


@dataclass(frozen=True, eq=False, slots=True)
class Study:
    """One treatment planning study: an image and what refers to it.

    Parameters
    ----------
    image : Image
        Planning CT.
    structures : StructureSet or None
        Drawn on it.
    plan : Plan or None
        Made on it.
    dose : Dose or None
        Total physical dose of the plan over all planned fractions.
    other_images : tuple of Image
        PET, MR and further CT of the same visit.
    """

    image: Image
    structures: StructureSet | None = None
    plan: Plan | None = None
    dose: Dose | None = None
    other_images: tuple[Image, ...] = field(default=())
