"""RTPLAN in: static, step-and-shoot, sliding-window and arc plans with photons.

Angles are IEC 61217, as DICOM stores them. What a control point does not repeat holds from the
one before. A machine without jaws in one direction gets jaws that limit nothing: at the outermost
leaf tips or leaf sides. Plans that the core type cannot say (electrons, brachytherapy, turning
collimators) are refused by name; wedges and other
modifiers are left out and reported by `check_plan`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTPlanStorage

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Finding,
    PatientPosition,
    Plan,
    Prescription,
    Severity,
)
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import (
    count_of,
    date_of,
    items_of,
    number_of,
    numbers_of,
    patient_position_of,
    text_of,
)
from rerad.errors import DicomError

REFUSED_DEVICES = {
    "MLCY": "leaves along y",
    "MLCX1": "two layers of leaves",
    "MLCX2": "two layers of leaves",
}
"""Beam limiting devices that the core types cannot describe."""

MODIFIERS = {
    "NumberOfWedges": "wedges",
    "NumberOfBlocks": "blocks",
    "NumberOfCompensators": "compensators",
    "NumberOfBoli": "boluses",
}
"""Beam modifiers that the core types cannot describe."""

FIXED_ANGLES = {
    "BeamLimitingDeviceAngle": "collimator",
    "PatientSupportAngle": "couch",
}
"""Angles that must not change while a beam is on."""


@guard_parser
def read_plan(path: Path) -> Plan:
    """Read an external-beam photon plan.

    Parameters
    ----------
    path : Path
        RTPLAN file.

    Returns
    -------
    Plan
        Beams in the order of the file, setup beams left out. `frame_uid` is empty if the file
        does not name a frame of reference (then its structure set does).

    Raises
    ------
    DicomError
        If it is not such a plan, or lacks fractions, monitor units or a patient position.
    """
    path = Path(path)
    dataset = read_dataset(path)
    where = path.name
    if text_of(dataset, "SOPClassUID") != RTPlanStorage:
        modality = text_of(dataset, "Modality") or "an unknown modality"
        msg = f"{where}: expected an RTPLAN, got {modality}; give the plan file"
        raise DicomError(msg)
    group = _fraction_group(dataset, where)
    n_fractions = number_of(group, "NumberOfFractionsPlanned")
    if n_fractions is None or n_fractions < 1:
        msg = f"{where}: expected a number of fractions planned, found none; export it again"
        raise DicomError(msg)
    structure_sets = items_of(dataset, "ReferencedStructureSetSequence")
    day = date_of(dataset, "RTPlanDate")
    return Plan(
        label=text_of(dataset, "RTPlanLabel"),
        frame_uid=text_of(dataset, "FrameOfReferenceUID"),
        patient_position=_patient_position(dataset, where),
        machine_name=_machine_name(dataset),
        n_fractions_planned=int(n_fractions),
        prescriptions=_prescriptions(dataset),
        beams=_beams(dataset, group, where),
        instance_uid=text_of(dataset, "SOPInstanceUID"),
        structure_set_uid=(
            text_of(structure_sets[0], "ReferencedSOPInstanceUID") if structure_sets else ""
        ),
        approval=text_of(dataset, "ApprovalStatus"),
        date=day.isoformat() if day else "",
    )


@guard_parser
def check_plan(path: Path) -> tuple[Finding, ...]:
    """Return what `read_plan` leaves out of this RTPLAN and what it does not say.

    Parameters
    ----------
    path : Path
        RTPLAN file.

    Returns
    -------
    tuple of Finding
        Wedges, blocks, compensators, boluses; no prescription, frame of reference or structure
        set.

    Raises
    ------
    DicomError
        If the file cannot be read.
    """
    dataset = read_dataset(Path(path))
    findings = []
    for beam in items_of(dataset, "BeamSequence"):
        name = text_of(beam, "BeamName") or f"beam {text_of(beam, 'BeamNumber')}"
        present = [what for keyword, what in MODIFIERS.items() if count_of(beam, keyword) > 0]
        if present:
            text = (
                f"{name} has {', '.join(present)}, which are not read; its dose cannot be "
                "computed again from this plan"
            )
            findings.append(Finding(Severity.SERIOUS, "beam-modifier-not-read", text, name))
    if not _prescriptions(dataset):
        text = "the plan states no prescribed dose; give prescriptions in the case file"
        findings.append(Finding(Severity.CAUTION, "plan-without-prescription", text))
    if not text_of(dataset, "FrameOfReferenceUID"):
        text = "the plan names no frame of reference; that of its structure set holds"
        findings.append(Finding(Severity.NOTE, "plan-without-frame", text))
    if not items_of(dataset, "ReferencedStructureSetSequence"):
        text = "the plan names no structure set; say in the case file which it was made on"
        findings.append(Finding(Severity.NOTE, "plan-without-structure-set", text))
    return tuple(findings)


def _fraction_group(dataset: Dataset, where: str) -> Dataset:
    groups = items_of(dataset, "FractionGroupSequence")
    if len(groups) != 1:
        msg = (
            f"{where}: expected one fraction group, got {len(groups)}; "
            "export each phase as a plan of its own"
        )
        raise DicomError(msg)
    if (number_of(groups[0], "NumberOfBrachyApplicationSetups") or 0) > 0:
        msg = f"{where}: expected an external-beam plan, got brachytherapy; it is not handled"
        raise DicomError(msg)
    return groups[0]


def _patient_position(dataset: Dataset, where: str) -> PatientPosition:
    setups = items_of(dataset, "PatientSetupSequence")
    positions = {text_of(setup, "PatientPosition") for setup in setups} or {""}
    if len(positions) > 1:
        msg = (
            f"{where}: expected one patient position, got {', '.join(sorted(positions))}; "
            "export each position as a plan of its own"
        )
        raise DicomError(msg)
    return patient_position_of(positions.pop(), where)


def _machine_name(dataset: Dataset) -> str:
    beams = items_of(dataset, "BeamSequence")
    return text_of(beams[0], "TreatmentMachineName") if beams else ""


def _prescriptions(dataset: Dataset) -> tuple[Prescription, ...]:
    """Return the dose references that carry a prescribed dose to a target."""
    prescriptions = []
    for entry in items_of(dataset, "DoseReferenceSequence"):
        dose_gy = number_of(entry, "TargetPrescriptionDose")
        if dose_gy is None or dose_gy <= 0 or text_of(entry, "DoseReferenceType") != "TARGET":
            continue
        roi = number_of(entry, "ReferencedROINumber")
        name = text_of(entry, "DoseReferenceDescription")
        if not name:
            number = text_of(entry, "DoseReferenceNumber")
            name = f"ROI {int(roi)}" if roi is not None else f"dose reference {number}"
        prescriptions.append(Prescription(name, dose_gy))
    return tuple(prescriptions)


def _beams(dataset: Dataset, group: Dataset, where: str) -> tuple[Beam, ...]:
    meterset_of = {
        number_of(entry, "ReferencedBeamNumber"): number_of(entry, "BeamMeterset")
        for entry in items_of(group, "ReferencedBeamSequence")
    }
    beams = []
    for item in items_of(dataset, "BeamSequence"):
        if text_of(item, "TreatmentDeliveryType") not in {"TREATMENT", "CONTINUATION", ""}:
            continue
        number = number_of(item, "BeamNumber")
        meterset = meterset_of.get(number)
        name = text_of(item, "BeamName") or f"beam {text_of(item, 'BeamNumber')}"
        at = f"{where}, {name}"
        if meterset is None:
            msg = f"{at}: expected monitor units, found none; export the plan with its metersets"
            raise DicomError(msg)
        beams.append(_beam(item, int(number or 0), name, meterset, at))
    if not beams:
        msg = f"{where}: expected treatment beams, found none; export the plan with its beams"
        raise DicomError(msg)
    return tuple(beams)


def _beam(item: Dataset, number: int, name: str, meterset_mu: float, at: str) -> Beam:
    radiation = text_of(item, "RadiationType")
    if radiation != "PHOTON":
        msg = f"{at}: expected photons, got {radiation or 'no radiation type'}; not handled"
        raise DicomError(msg)
    if text_of(item, "PrimaryDosimeterUnit") not in {"MU", ""}:
        msg = f"{at}: expected a meterset in MU, got {text_of(item, 'PrimaryDosimeterUnit')}"
        msg += "; export the plan in monitor units"
        raise DicomError(msg)
    devices = _Devices.of(item, at)
    points = items_of(item, "ControlPointSequence")
    if len(points) < 2:
        msg = f"{at}: expected at least two control points, got {len(points)}; export it again"
        raise DicomError(msg)
    isocenter = numbers_of(points[0], "IsocenterPosition")
    angles = [number_of(points[0], k) for k in ("GantryAngle", *FIXED_ANGLES)]
    if len(isocenter) != 3 or None in angles:
        msg = f"{at}: expected isocentre and angles at the first control point, found them absent"
        msg += "; export the plan again"
        raise DicomError(msg)
    _require_fixed(points, at)
    gantry, collimator, couch = (float(angle or 0.0) for angle in angles)
    x, y, z = isocenter
    geometry = BeamGeometry(name, gantry, collimator, couch, (x, y, z))
    return Beam(
        number,
        geometry,
        _control_points(points, item, devices, at),
        meterset_mu,
        energy_mv=_energy_mv(points, at),
        fluence_mode=_fluence_mode(item),
    )


def _energy_mv(points: list[Dataset], at: str) -> float | None:
    """Return the nominal energy, None if it is not stated; one that changes is refused."""
    energies = {e for p in points if (e := number_of(p, "NominalBeamEnergy")) is not None}
    if len(energies) > 1:
        msg = f"{at}: expected one beam energy, got {', '.join(f'{e:g}' for e in energies)} MV"
        msg += "; such beams are not handled"
        raise DicomError(msg)
    return energies.pop() if energies else None


def _fluence_mode(beam: Dataset) -> str:
    """Return STANDARD, the name of another fluence mode, or nothing if it is not stated."""
    modes = items_of(beam, "PrimaryFluenceModeSequence")
    if not modes:
        return ""
    mode = text_of(modes[0], "FluenceMode")
    return text_of(modes[0], "FluenceModeID") or mode if mode == "NON_STANDARD" else mode


def _require_fixed(points: list[Dataset], at: str) -> None:
    """Refuse beams whose collimator, couch or isocentre moves while the beam is on."""
    for keyword, what in FIXED_ANGLES.items():
        angles = {a for p in points if (a := number_of(p, keyword)) is not None}
        if len(angles) > 1:
            msg = f"{at}: expected a {what} at rest, got one that turns during the beam"
            msg += "; such beams are not handled"
            raise DicomError(msg)
    places = {tuple(v) for p in points if (v := numbers_of(p, "IsocenterPosition"))}
    if len(places) > 1:
        msg = f"{at}: expected one isocentre, got {len(places)}; such beams are not handled"
        raise DicomError(msg)


@dataclass(slots=True)
class _Devices:
    """Jaws and leaves of a beam as of the latest control point."""

    leaf_edges_mm: NDArray[np.float64] | None
    n_leaf_pairs: int
    has_jaw_x: bool
    has_jaw_y: bool
    at: str
    positions: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, beam: Dataset, at: str) -> "_Devices":
        """Take them from a beam."""
        edges: NDArray[np.float64] | None = None
        n_leaf_pairs, kinds = 0, set()
        for item in items_of(beam, "BeamLimitingDeviceSequence"):
            kind = text_of(item, "RTBeamLimitingDeviceType")
            if kind in REFUSED_DEVICES:
                msg = f"{at}: expected leaves along x (MLCX), got {kind}"
                msg += f" ({REFUSED_DEVICES[kind]}); not handled"
                raise DicomError(msg)
            kinds.add(_short(kind))
            if kind == "MLCX":
                n_leaf_pairs = count_of(item, "NumberOfLeafJawPairs")
                edges = np.asarray(numbers_of(item, "LeafPositionBoundaries"))
                if len(edges) != n_leaf_pairs + 1:
                    msg = f"{at}: expected {n_leaf_pairs + 1} leaf boundaries, got {len(edges)}"
                    msg += "; export the plan again"
                    raise DicomError(msg)
        return cls(edges, n_leaf_pairs, "X" in kinds, "Y" in kinds, at)

    def update(self, point: Dataset) -> None:
        """Take over what a control point says; the rest stays."""
        for item in items_of(point, "BeamLimitingDevicePositionSequence"):
            kind = _short(text_of(item, "RTBeamLimitingDeviceType"))
            values = np.asarray(numbers_of(item, "LeafJawPositions"))
            expected = 2 * self.n_leaf_pairs if kind == "MLCX" else 2
            if len(values) != expected:
                msg = f"{self.at}: expected {expected} positions of {kind}, got {len(values)}"
                msg += "; export the plan again"
                raise DicomError(msg)
            self.positions[kind] = values

    def leaves(self) -> NDArray[np.float64]:
        """Return leaf tips of shape (2, N); N is 0 without a multileaf collimator."""
        if self.n_leaf_pairs == 0:
            return np.zeros((2, 0))
        return self._known("MLCX").reshape(2, self.n_leaf_pairs)

    def jaws(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return x and y jaws; a direction without jaws is limited by the leaves alone."""
        leaves = self.leaves()
        if not (self.n_leaf_pairs or (self.has_jaw_x and self.has_jaw_y)):
            msg = f"{self.at}: expected jaws or leaves in both directions, found none"
            msg += "; export the plan again"
            raise DicomError(msg)
        if self.has_jaw_x:
            x1, x2 = (float(v) for v in self._known("X"))
        else:
            x1, x2 = float(leaves[0].min()), float(leaves[1].max())
        if self.has_jaw_y:
            y1, y2 = (float(v) for v in self._known("Y"))
        else:
            edges = np.asarray(self.leaf_edges_mm)
            y1, y2 = float(edges[0]), float(edges[-1])
        return (x1, x2), (y1, y2)

    def _known(self, kind: str) -> NDArray[np.float64]:
        if kind not in self.positions:
            msg = f"{self.at}: expected positions of {kind} at the first control point, found none"
            msg += "; export the plan again"
            raise DicomError(msg)
        return self.positions[kind]


def _short(kind: str) -> str:
    """Return X or Y for jaws, whether they move symmetrically or not."""
    return {"ASYMX": "X", "ASYMY": "Y"}.get(kind, kind)


def _control_points(
    points: list[Dataset], beam: Dataset, devices: _Devices, at: str
) -> tuple[ControlPoint, ...]:
    final = number_of(beam, "FinalCumulativeMetersetWeight")
    if not final or final <= 0:
        msg = f"{at}: expected a Final Cumulative Meterset Weight above 0, got {final}"
        msg += "; export the plan again"
        raise DicomError(msg)
    gantry_moves = len({a for p in points if (a := number_of(p, "GantryAngle")) is not None}) > 1
    gantry: float | None = None
    direction = ""
    weight = 0.0
    result: list[ControlPoint] = []
    for point in points:
        devices.update(point)
        stated = number_of(point, "CumulativeMetersetWeight")
        weight = weight if stated is None else stated / final
        angle = number_of(point, "GantryAngle")
        gantry = gantry if angle is None else angle
        jaw_x, jaw_y = devices.jaws()
        here = ControlPoint(
            cumulative_weight=weight,
            jaw_x_mm=jaw_x,
            jaw_y_mm=jaw_y,
            leaf_positions_mm=devices.leaves(),
            gantry_angle_deg=gantry if gantry_moves else None,
        )
        if gantry_moves and result:
            result += _way_points(result[-1], here, direction)
        result.append(here)
        direction = text_of(point, "GantryRotationDirection") or direction
    return tuple(result)


def _way_points(before: ControlPoint, after: ControlPoint, direction: str) -> list[ControlPoint]:
    """Return points between two where the gantry goes the longer way round.

    The core type takes the shorter way from each control point to the next. Between two points
    everything moves linearly with the meterset, so points on the way change nothing else.
    """
    start, end = before.gantry_angle_deg or 0.0, after.gantry_angle_deg or 0.0
    turn = {"CW": (end - start) % 360, "CC": -((start - end) % 360)}.get(direction, 0.0)
    if abs(turn) < 180:
        return []
    return [
        _between(before, after, (start + share * turn) % 360, share) for share in (1 / 3, 2 / 3)
    ]


def _between(
    before: ControlPoint, after: ControlPoint, angle_deg: float, share: float
) -> ControlPoint:
    """Return the control point at a share of the way from one to the next."""

    def part(a: float, b: float) -> float:
        return a + share * (b - a)

    (ax1, ax2), (bx1, bx2) = before.jaw_x_mm, after.jaw_x_mm
    (ay1, ay2), (by1, by2) = before.jaw_y_mm, after.jaw_y_mm
    leaves = before.leaf_positions_mm
    return ControlPoint(
        cumulative_weight=part(before.cumulative_weight, after.cumulative_weight),
        jaw_x_mm=(part(ax1, bx1), part(ax2, bx2)),
        jaw_y_mm=(part(ay1, by1), part(ay2, by2)),
        leaf_positions_mm=leaves + share * (after.leaf_positions_mm - leaves),
        gantry_angle_deg=angle_deg,
    )
