"""How targets are made, step by step: each operation is kept with its numbers and its result.

A recipe is a list of steps; each names what it makes, from what, and how. Steps may use the
structures of the patient and the results of earlier steps. Nothing has a default: a margin that
the recipe does not state is an error. A gross tumour needs the name of who accepts it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from rerad.core import Finding, Grid, Mask, NervePath, Severity, StructureKind
from rerad.errors import InputError, MissingDataError, StructureNotFoundError
from rerad.structures import Margin6, check_name, intersect, margin, subtract, unite
from rerad.targets.ctv import NerveMargin, nerve_ctv, nodal_ctv
from rerad.targets.ptv import make_prv, make_ptv, smooth_keeping_volume

KINDS = {kind.name: kind for kind in StructureKind}
"""Kinds that a step may make, by the words of a recipe."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a recipe.

    Parameters
    ----------
    name : str
        Of the volume that it makes.
    kind : StructureKind
        What it is for.
    operation : str
        One of `OPERATIONS`.
    of : tuple of str
        Volumes that it starts from, in order.
    numbers : mapping of str to float
        Lengths in mm, by the names that the operation knows.
    cut_at : tuple of str
        Volumes that are cut away.
    along : tuple of str
        Nerves that are followed.
    accepted_by : str
        Who accepts a gross tumour volume.
    """

    name: str
    kind: StructureKind
    operation: str
    of: tuple[str, ...]
    numbers: Mapping[str, float]
    cut_at: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    accepted_by: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in their order, and which of their results are written."""

    label: str
    steps: tuple[Step, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step did: the step, and the volumes before and after in cc."""

    step: Step
    volumes_before_cc: tuple[float, ...]
    volume_cc: float


@dataclass(frozen=True, eq=False, slots=True)
class TargetVolumes:
    """The volumes that a recipe made.

    Parameters
    ----------
    masks : mapping of str to Mask
        Those that are kept, in the order of the recipe.
    records : tuple of StepRecord
        Every step.
    findings : tuple of Finding
        What to weigh, names that TG-263 would change among them.
    """

    masks: Mapping[str, Mask]
    records: tuple[StepRecord, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Kitchen:
    """What a step can use."""

    masks: dict[str, Mask]
    paths: Mapping[str, NervePath]
    parent: Grid

    def get(self, name: str) -> Mask:
        if name not in self.masks:
            msg = (
                f"the recipe names {name}, which is neither a structure nor made by an earlier "
                f"step; there are {', '.join(sorted(self.masks))}"
            )
            raise StructureNotFoundError(msg)
        return self.masks[name]

    def path(self, name: str) -> NervePath:
        if name not in self.paths:
            msg = (
                f"the recipe follows {name}, which has no path; draw it or click it (there are "
                f"{', '.join(sorted(self.paths)) or 'none'})"
            )
            raise StructureNotFoundError(msg)
        return self.paths[name]


Operation = Callable[[Step, _Kitchen], Mask]


def parse_recipe(table: Mapping[str, Any]) -> Recipe:
    """Read a recipe from a table of plain values, as TOML gives it.

    Parameters
    ----------
    table : mapping
        ``label``, and ``step``: a list of tables with ``name``, ``kind``, ``operation``, ``of``
        and the numbers of the operation; ``keep = false`` for a step on the way.

    Raises
    ------
    InputError
        If a key is missing or unknown, or a name is made twice.
    """
    unknown = set(table) - {"label", "step"}
    rows = table.get("step", [])
    if unknown or not rows or not table.get("label"):
        msg = (
            "expected a recipe with a label and steps ([[step]]), got "
            f"{', '.join(sorted(table)) or 'nothing'}"
        )
        raise InputError(msg)
    steps = tuple(_step(row) for row in rows)
    names = [step.name for step in steps]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        msg = f"the recipe makes {', '.join(sorted(twice))} more than once; give each its own name"
        raise InputError(msg)
    kept = tuple(s.name for s, row in zip(steps, rows, strict=True) if row.get("keep", True))
    return Recipe(str(table["label"]), steps, kept)


def _step(row: Mapping[str, Any]) -> Step:
    name = str(row.get("name", ""))
    operation = str(row.get("operation", ""))
    if not name or operation not in OPERATIONS:
        msg = (
            f"step {name or '(no name)'}: expected an operation of {', '.join(OPERATIONS)}, got "
            f"{operation or 'none'}"
        )
        raise InputError(msg)
    kind = str(row.get("kind", ""))
    if kind not in KINDS:
        msg = f"step {name}: expected a kind of {', '.join(KINDS)}, got {kind or 'none'}"
        raise InputError(msg)
    words = {"name", "kind", "operation", "of", "cut_at", "along", "accepted_by", "keep"}
    wanted = NUMBERS_OF[operation]
    numbers = {key: row[key] for key in row if key not in words}
    wrong = sorted(set(numbers) - set(wanted))
    if wrong:
        msg = f"step {name}: {operation} does not know {', '.join(wrong)}; it knows "
        msg += ", ".join(wanted) or "no numbers"
        raise InputError(msg)
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers.values()):
        msg = f"step {name}: expected numbers in mm for {', '.join(numbers)}"
        raise InputError(msg)
    return Step(
        name=name,
        kind=KINDS[kind],
        operation=operation,
        of=tuple(row.get("of", ())),
        numbers=MappingProxyType({key: float(v) for key, v in numbers.items()}),
        cut_at=tuple(row.get("cut_at", ())),
        along=tuple(row.get("along", ())),
        accepted_by=str(row.get("accepted_by", "")).strip(),
    )


def follow_recipe(
    recipe: Recipe,
    masks: Mapping[str, Mask],
    parent: Grid,
    paths: Mapping[str, NervePath] | None = None,
) -> TargetVolumes:
    """Make the volumes of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Steps.
    masks : mapping of str to Mask
        Structures of the patient on crops of `parent`.
    parent : Grid
        Grid that bounds every volume: the planning CT's.
    paths : mapping of str to NervePath, optional
        Nerves by name.

    Returns
    -------
    TargetVolumes

    Raises
    ------
    StructureNotFoundError
        If a step uses what is not there.
    MissingDataError
        If a number of an operation is not stated, or nobody accepts a gross tumour volume.
    InputError
        If an operation cannot do what is asked.
    """
    kitchen = _Kitchen(dict(masks), paths or {}, parent)
    records, findings = [], []
    for step in recipe.steps:
        _require(step)
        made = replace(OPERATIONS[step.operation](step, kitchen), name=step.name, kind=step.kind)
        if not (made.fraction >= 0.5).any():
            msg = f"step {step.name}: nothing is left after {step.operation}; check its inputs"
            raise InputError(msg)
        before = tuple(kitchen.get(name).volume_cc for name in step.of)
        records.append(StepRecord(step, before, made.volume_cc))
        kitchen.masks[step.name] = made
        findings += _findings(step, made, parent)
    return TargetVolumes(
        {name: kitchen.masks[name] for name in recipe.kept}, tuple(records), tuple(findings)
    )


def _require(step: Step) -> None:
    """Refuse a step that leaves something unsaid."""
    missing = [n for n in NUMBERS_OF[step.operation] if n not in step.numbers]
    is_six = step.operation == "margin" and "margin_mm" not in step.numbers
    if step.operation == "margin":
        missing = [] if not is_six else [n for n in _SIX if n not in step.numbers]
    if missing:
        msg = f"step {step.name}: {step.operation} needs {', '.join(missing)}; state them in mm"
        raise MissingDataError(msg)
    if not step.of:
        msg = f"step {step.name}: expected volumes to start from (of), got none"
        raise InputError(msg)
    if step.kind is StructureKind.GTV and not step.accepted_by:
        msg = (
            f"step {step.name}: a gross tumour volume needs the name of who accepts it "
            "(accepted_by)"
        )
        raise MissingDataError(msg)


def _findings(step: Step, made: Mask, parent: Grid) -> list[Finding]:
    found = [
        Finding(Severity.NOTE, "structure-name", f"{step.name}: {problem}", step.name)
        for problem in check_name(step.name)
    ]
    region = parent.region_of(made.grid)
    if any(s.start == 0 or s.stop == n for s, n in zip(region, parent.shape, strict=True)):
        text = f"{step.name} reaches the edge of the planning CT; it may be cut off there"
        found.append(Finding(Severity.CAUTION, "target-at-edge", text, step.name))
    return found


_SIX = ("left_mm", "right_mm", "posterior_mm", "anterior_mm", "superior_mm", "inferior_mm")


def _union(step: Step, kitchen: _Kitchen) -> Mask:
    made = kitchen.get(step.of[0])
    for name in step.of[1:]:
        made = unite(made, kitchen.get(name))
    return _without(made, step, kitchen)


def _intersection(step: Step, kitchen: _Kitchen) -> Mask:
    made = kitchen.get(step.of[0])
    for name in step.of[1:]:
        made = intersect(made, kitchen.get(name))
    return _without(made, step, kitchen)


def _difference(step: Step, kitchen: _Kitchen) -> Mask:
    made = kitchen.get(step.of[0])
    for name in step.of[1:]:
        made = subtract(made, kitchen.get(name))
    return _without(made, step, kitchen)


def _margin(step: Step, kitchen: _Kitchen) -> Mask:
    numbers = step.numbers
    size = numbers["margin_mm"] if "margin_mm" in numbers else Margin6(**dict(numbers))
    start = _union(replace(step, cut_at=()), kitchen)
    if step.kind is StructureKind.PRV:
        return _without(make_prv(start, kitchen.parent, size), step, kitchen)
    if step.kind is StructureKind.PTV:
        return _without(make_ptv(start, kitchen.parent, size, name=step.name), step, kitchen)
    return _without(margin(start, kitchen.parent, size), step, kitchen)


def _nerve(step: Step, kitchen: _Kitchen) -> Mask:
    extent = NerveMargin(**dict(step.numbers))
    paths = [kitchen.path(name) for name in step.along]
    cut = [kitchen.get(name) for name in step.cut_at]
    gtv = _union(replace(step, cut_at=()), kitchen)
    return nerve_ctv(gtv, paths, kitchen.parent, extent, cut_at=cut, name=step.name)


def _nodal(step: Step, kitchen: _Kitchen) -> Mask:
    vessels = [kitchen.get(name) for name in step.of]
    cut = [kitchen.get(name) for name in step.cut_at]
    size = step.numbers["margin_mm"]
    return nodal_ctv(vessels, kitchen.parent, size, cut_at=cut, name=step.name)


def _smooth(step: Step, kitchen: _Kitchen) -> Mask:
    start = _union(replace(step, cut_at=()), kitchen)
    return _without(
        smooth_keeping_volume(start, kitchen.parent, step.numbers["sigma_mm"]), step, kitchen
    )


def _without(made: Mask, step: Step, kitchen: _Kitchen) -> Mask:
    """Return a volume without what the step cuts away."""
    names: Sequence[str] = step.cut_at
    for name in names:
        made = subtract(made, kitchen.get(name))
    return made


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "union": _union,
        "intersection": _intersection,
        "difference": _difference,
        "margin": _margin,
        "along_nerve": _nerve,
        "around_vessels": _nodal,
        "smooth": _smooth,
    }
)
"""What a step can do, by the word of the recipe."""

NUMBERS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "union": (),
        "intersection": (),
        "difference": (),
        "margin": ("margin_mm", *_SIX),
        "along_nerve": ("towards_spine_mm", "outward_mm", "radial_mm", "nerve_radius_mm"),
        "around_vessels": ("margin_mm",),
        "smooth": ("sigma_mm",),
    }
)
"""Numbers that each operation needs; a margin needs one, or six."""
