"""Which machine, and which of its beams, each beam of an existing plan is calculated with.

A machine is chosen by name and then has to be the plan's: same leaves, same jaws, same distance,
same energy, same fluence mode. What does not match is refused, because the dose would be that of
another machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Beam, Finding, Machine, Plan, Severity
from rerad.dicom.plan_beams import PlanBeam
from rerad.dosecalc import load_machine
from rerad.errors import CaseError, DeliverabilityError, InputError, MissingDataError
from rerad.tables.machines_load import machine_names, read_machine_tables

LEAF_TOLERANCE_MM = 0.1
"""Leaf sides of plan and machine may differ by this: systems round them."""

DISTANCE_TOLERANCE_MM = 1.0
"""Source to axis distances may differ by this."""

ENERGY_TOLERANCE_MV = 0.05
"""Nominal energies are names: they are equal or not."""

UNFLATTENED = "FFF"
"""How the mode without flattening filter is called."""


@dataclass(frozen=True, slots=True)
class MachineChoice:
    """What the user and the case say about the machine.

    Parameters
    ----------
    machine : str
        Name or file of a machine; empty to find it by the plan's machine name.
    beam : str
        Name of its beam; empty to find it by energy and fluence mode.
    known : tuple of str
        Further machines to look through, by name or file: those of the case.
    """

    machine: str = ""
    beam: str = ""
    known: tuple[str, ...] = ()


def machines_of(
    plan: Plan, described: Sequence[PlanBeam], choice: MachineChoice
) -> tuple[dict[int, Machine], tuple[Finding, ...]]:
    """Return the machine, set to the right beam, for each beam of a plan.

    Parameters
    ----------
    plan : Plan
        As read.
    described : sequence of PlanBeam
        What its file says of machine and collimator, for each of its beams.
    choice : MachineChoice
        What was asked for.

    Returns
    -------
    machines : dict of int to Machine
        By beam number.
    findings : tuple of Finding
        What the plan does not say.

    Raises
    ------
    CaseError
        If no machine is named and none is known by the plan's name, or beams name several.
    InputError
        If machine and plan do not match.
    """
    name = choice.machine or _found(described, choice.known)
    try:
        table, _, _ = read_machine_tables(name)
    except FileNotFoundError as error:
        msg = f"machine {name}: {error.filename} is not there; give a name or a file"
        raise MissingDataError(msg) from error
    except (KeyError, OSError, ValueError) as error:
        msg = f"machine {name}: {error}; compare with tables/machines/generic_6mv.toml"
        raise InputError(msg) from error
    first = load_machine(name)
    for item in described:
        _require_match(item, first)
    loaded = {first.beam.name: first}
    machines, findings = {}, []
    for beam in plan.beams:
        chosen, said = _beam_name(beam, table["beams"], table["machine"]["name"], choice.beam)
        findings += said
        if chosen not in loaded:
            loaded[chosen] = load_machine(name, beam=chosen)
        machines[beam.number] = loaded[chosen]
    findings += _other_name(described, first.name)
    return machines, tuple(dict.fromkeys(findings))


def _other_name(described: Sequence[PlanBeam], ours: str) -> list[Finding]:
    """Say where a machine of another name stands in for the plan's."""
    theirs = sorted({item.machine_name for item in described if item.machine_name})
    if not theirs or {name.casefold() for name in theirs} == {ours.casefold()}:
        return []
    text = f"The plan is for machine {', '.join(theirs)}; it was calculated with {ours}."
    return [Finding(Severity.CAUTION, "machine-of-another-name", text)]


def _found(described: Sequence[PlanBeam], known: Sequence[str]) -> str:
    """Return the machine whose name is the plan's."""
    names = sorted({item.machine_name for item in described})
    if len(names) > 1:
        msg = f"expected a plan for one machine, got beams for {', '.join(names)}; split it"
        raise CaseError(msg)
    shipped = {_name_in(item): item for item in (*machine_names(), *known)}
    wanted = names[0].casefold() if names else ""
    if wanted in shipped and wanted:
        return shipped[wanted]
    there = ", ".join(dict.fromkeys(item for key, item in shipped.items() if key))
    msg = (
        f"the plan is for machine {names[0] if names else ''!r}, which is none that rerad knows "
        f"({there}); name one with --machine, or the file of your own machine, made like "
        "tables/machines/generic_6mv.toml"
    )
    raise CaseError(msg)


def _name_in(name_or_path: str) -> str:
    """Return the name that a machine's file gives it; empty if it cannot be read."""
    try:
        table, _, _ = read_machine_tables(name_or_path)
    except (KeyError, OSError, ValueError):
        return ""
    return str(table["machine"]["name"]).casefold()


def _is_flattened(mode: str, at: str) -> bool | None:
    """Return what a fluence mode says of the flattening filter; None if it says nothing."""
    if mode in {"", "STANDARD"}:
        return None if not mode else True
    if UNFLATTENED in mode.upper():
        return False
    msg = f"{at}: expected fluence mode STANDARD or FFF, got {mode}; it is not handled"
    raise InputError(msg)


def _beam_name(
    beam: Beam, beams: Mapping[str, Mapping[str, object]], machine: str, wanted: str
) -> tuple[str, list[Finding]]:
    """Return which beam of a machine has the energy and fluence mode of the plan's beam."""
    at = f"beam {beam.geometry.name}"
    if wanted and wanted not in beams:
        msg = f"machine {machine} has no beam {wanted}; it has {', '.join(beams)}"
        raise InputError(msg)
    flat = _is_flattened(beam.fluence_mode, at)
    fitting = [
        name
        for name, table in beams.items()
        if beam.energy_mv is None
        or abs(float(str(table["energy_mv"])) - beam.energy_mv) <= ENERGY_TOLERANCE_MV
        if flat is None or bool(table["is_flattened"]) == flat
        if not wanted or name == wanted
    ]
    energy = "no energy" if beam.energy_mv is None else f"{beam.energy_mv:g} MV"
    asked = f"{energy}, fluence mode {beam.fluence_mode or 'not stated'}"
    if not fitting:
        msg = (
            f"{at}: the plan asks for {asked}, which {wanted or 'no beam'} of machine {machine} "
            f"({', '.join(beams)}) gives; name the plan's own machine with --machine"
        )
        raise InputError(msg)
    if len(fitting) > 1 or (beam.energy_mv is None and not wanted):
        msg = (
            f"{at}: the plan says {asked}, so {' or '.join(fitting)} of machine {machine} may be "
            "meant; name one with --beam"
        )
        raise InputError(msg)
    if beam.energy_mv is not None and flat is not None:
        return fitting[0], []
    text = (
        f"The plan does not state {'the energy' if beam.energy_mv is None else 'the fluence mode'}"
        f" of {at}; {fitting[0]} of machine {machine} was taken."
    )
    severity = Severity.CAUTION if wanted or beam.energy_mv is None else Severity.NOTE
    return fitting[0], [Finding(severity, "beam-quality-not-stated", text, beam.geometry.name)]


def _problem(described: PlanBeam, machine: Machine) -> str:
    """Say in what a plan's machine differs from ours; empty if in nothing."""
    if described.tilt:
        return f"expected a level table top, got one with {described.tilt}"
    sad = described.sad_mm
    if sad is not None and abs(sad - machine.sad_mm) > DISTANCE_TOLERANCE_MM:
        return f"expected source to axis {machine.sad_mm:g} mm, got {sad:g} mm"
    theirs, ours = described.leaf_boundaries_mm, machine.mlc.leaf_boundaries_mm
    if len(theirs) and len(theirs) != len(ours):
        return f"expected {len(ours) - 1} leaf pairs, got {len(theirs) - 1}"
    if len(theirs):
        worst = int(np.argmax(np.abs(theirs - ours)))
        if abs(theirs[worst] - ours[worst]) > LEAF_TOLERANCE_MM:
            return f"expected a leaf side at {ours[worst]:g} mm, got {theirs[worst]:g} mm"
    has_jaw_x = machine.jaw_x_limits_mm is not None
    if described.has_jaw_x != has_jaw_x:
        words = {True: "jaws along x", False: "no jaws along x"}
        return f"expected {words[has_jaw_x]}, got {words[described.has_jaw_x]}"
    return "" if described.has_jaw_y else "expected jaws along y, got none"


def _require_match(described: PlanBeam, machine: Machine) -> None:
    """Raise unless collimator and distance of plan and machine are the same."""
    problem = _problem(described, machine)
    if problem:
        msg = f"beam {described.name} is not for machine {machine.name}: {problem}; name the "
        raise InputError(msg + "plan's own machine with --machine")


def as_on_machine(plan: Plan, machines: Mapping[int, Machine]) -> tuple[Plan, tuple[Finding, ...]]:
    """Complete what a plan leaves out because its machine has no such device, or it is not used.

    Parameters
    ----------
    plan : Plan
        As read: where there are no x jaws they stand at the outermost leaf tips, and there are
        no leaves if it has no multileaf collimator.
    machines : mapping of int to Machine
        By beam number.

    Returns
    -------
    plan : Plan
        X jaws that are not there stand wide open; leaves that are not there are withdrawn.
    findings : tuple of Finding
        Beams without leaves.

    Raises
    ------
    DeliverabilityError
        If a beam without leaves has no x jaws either.
    """
    beams, findings = [], []
    for beam in plan.beams:
        machine = machines[beam.number]
        points = list(beam.control_points)
        if not points[0].leaf_positions_mm.size:
            if machine.jaw_x_limits_mm is None:
                msg = f"beam {beam.geometry.name}: nothing bounds the field along x"
                raise DeliverabilityError(msg)
            limit = max(abs(v) for v in machine.jaw_x_limits_mm)
            row = np.full(machine.mlc.n_leaf_pairs, limit)
            points = [replace(p, leaf_positions_mm=np.stack([-row, row])) for p in points]
            text = f"{beam.geometry.name} has no leaves: they were taken as withdrawn."
            findings.append(Finding(Severity.NOTE, "beam-without-leaves", text))
        if machine.jaw_x_limits_mm is None:
            points = [replace(p, jaw_x_mm=machine.field_x_limits_mm) for p in points]
        beams.append(replace(beam, control_points=tuple(points)))
    return replace(plan, beams=tuple(beams)), tuple(findings)
