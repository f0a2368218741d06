"""Plans, prescriptions and clinical goals."""

from dataclasses import dataclass
from enum import StrEnum

from rerad.core.beam import Beam
from rerad.core.patient import PatientPosition
from rerad.errors import InputError


@dataclass(frozen=True, slots=True)
class Prescription:
    """Dose to one target over the whole course.

    Parameters
    ----------
    structure : str
        Name of the target.
    dose_gy : float
        Total physical dose in Gy.
    up_to_gy : float or None
        More than that is wanted: as much as the limits allow, up to this total physical dose in
        Gy; None wants `dose_gy`.

    Raises
    ------
    InputError
        If a dose is not above 0 and below 200 Gy, or `up_to_gy` is not above `dose_gy`.
    """

    structure: str
    dose_gy: float
    up_to_gy: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.dose_gy < 200:
            msg = f"{self.structure}: expected a prescription of 0 to 200 Gy, got {self.dose_gy}"
            raise InputError(msg)
        if self.up_to_gy is not None and not self.dose_gy < self.up_to_gy < 200:
            msg = (
                f"{self.structure}: expected a dose to go up to between the prescribed "
                f"{self.dose_gy:g} and 200 Gy, got {self.up_to_gy}"
            )
            raise InputError(msg)

    @property
    def wanted_gy(self) -> float:
        """The most that is wanted: up to where the limits allow it, else as prescribed."""
        return self.dose_gy if self.up_to_gy is None else self.up_to_gy


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """An external-beam photon plan.

    Parameters
    ----------
    label : str
        RT Plan Label (at most 16 characters).
    frame_uid : str
        Frame of reference of the isocentres.
    patient_position : PatientPosition
        As set up on the couch.
    machine_name : str
        Treatment machine.
    n_fractions_planned : int
        At least 1.
    prescriptions : tuple of Prescription
        Targets and doses.
    beams : tuple of Beam
        In order of delivery.
    instance_uid, structure_set_uid : str
        SOP Instance UIDs of the RTPLAN and of the RTSTRUCT it refers to; empty if there is none.
    approval : str
        ApprovalStatus as read; rerad itself only ever writes UNAPPROVED.
    date : str
        RT Plan Date as ISO text; empty for unknown.
    """

    label: str
    frame_uid: str
    patient_position: PatientPosition
    machine_name: str
    n_fractions_planned: int
    prescriptions: tuple[Prescription, ...]
    beams: tuple[Beam, ...]
    instance_uid: str = ""
    structure_set_uid: str = ""
    approval: str = "UNAPPROVED"
    date: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prescriptions", tuple(self.prescriptions))
        object.__setattr__(self, "beams", tuple(self.beams))
        if self.n_fractions_planned < 1:
            msg = (
                f"plan {self.label}: expected at least 1 fraction, got {self.n_fractions_planned}"
            )
            raise InputError(msg)

    @property
    def meterset_mu(self) -> float:
        """Monitor units of one fraction, all beams."""
        return sum(beam.meterset_mu for beam in self.beams)


class DoseScope(StrEnum):
    """Which dose a goal is about."""

    PLAN = "this plan, physical dose"
    CUMULATIVE = "all courses, EQD2"


class RecoveryBasis(StrEnum):
    """What a cumulative limit assumes of recovery; a limit is compared with no other sum.

    ``RAW``: the sum carries no recovery factor (one already inside the limit, or none assumed).
    ``DISCOUNTED``: earlier courses are multiplied by (1 - recovery) before the sum.
    """

    RAW = "raw sum"
    DISCOUNTED = "discounted sum"


@dataclass(frozen=True, slots=True)
class Goal:
    """A clinical goal as clinicians write it, for example ``SacralPlex_R D0.1cc <= 67 Gy EQD2``.

    Parameters
    ----------
    structure : str
        TG-263 name.
    metric : str
        ``D0.1cc``, ``D95%``, ``Dmean``, ``Dmax``, ``V45Gy``, ``gEUD8``, ``CI``, ``D2cm`` ...
    scope : DoseScope
        Physical dose of this plan, or cumulative EQD2.
    at_most, at_least : float or None
        Exactly one is given, in `unit`.
    unit : str
        ``Gy``, ``%`` (of the prescription for D, of the volume for V), ``cc``, or empty for an
        index.
    alpha_beta_gy : float or None
        For cumulative goals.
    recovery_basis : RecoveryBasis or None
        For cumulative goals.
    citation : str
        Where the number comes from; "user" if the case file gives it.
    trust : str
        How far the source was read: R, R2, M or user.
    note : str
        What the reader should know, for example "no consensus".
    priority : int or None
        1 for what comes first; None if the goal is judged and not ranked.
    is_hard : bool
        Whether the goal is a limit that holds at every priority; it then has no priority itself.
    """

    structure: str
    metric: str
    scope: DoseScope
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    alpha_beta_gy: float | None = None
    recovery_basis: RecoveryBasis | None = None
    citation: str = "user"
    trust: str = "user"
    note: str = ""
    priority: int | None = None
    is_hard: bool = False

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            msg = f"goal {self.structure} {self.metric}: give exactly one of at_most and at_least"
            raise InputError(msg)
        if self.priority is not None and (
            isinstance(self.priority, bool)
            or not isinstance(self.priority, int)
            or self.priority < 1
        ):
            msg = (
                f"goal {self.structure} {self.metric}: expected a priority of 1 (first) or more, "
                f"got {self.priority!r}"
            )
            raise InputError(msg)
        if self.is_hard and self.priority is not None:
            msg = (
                f"goal {self.structure} {self.metric}: a hard limit holds at every priority; give "
                f"must or priority {self.priority}, not both"
            )
            raise InputError(msg)
        if self.scope is DoseScope.CUMULATIVE and self.alpha_beta_gy is None:
            msg = f"goal {self.structure} {self.metric}: cumulative EQD2 needs alpha/beta in Gy"
            raise InputError(msg)

    @property
    def text(self) -> str:
        """The goal in one line."""
        sign, value = ("<=", self.at_most) if self.at_most is not None else (">=", self.at_least)
        quantity = ""
        if self.scope is DoseScope.CUMULATIVE:
            quantity = f" EQD2(a/b {self.alpha_beta_gy:g}) cumulative"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.metric} {sign} {value:g}{unit}{quantity}"
