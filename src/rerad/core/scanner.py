"""Which scanner made an image: the curve from CT number to density belongs to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scanner:
    """A CT scanner as its images name it.

    Parameters
    ----------
    manufacturer, model, station : str
        As written in the header; empty if not said.
    kvp : float or None
        Tube voltage in kV; None if not said.
    """

    manufacturer: str = ""
    model: str = ""
    station: str = ""
    kvp: float | None = None

    @property
    def text(self) -> str:
        """Manufacturer, model and voltage in words."""
        name = f"{self.manufacturer} {self.model}".strip() or "a scanner that is not named"
        return name if self.kvp is None else f"{name} at {self.kvp:g} kV"
