"""Write docs/case-file.md: every key of case.toml, from the schema that reads it.

Run ``python tools/docs/case_file_page.py`` after a change to ``rerad.case.schema``; a test checks
that the page is current. What a validator checks and the JSON Schema cannot say is in `RULES`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rerad.case import case_schema
from rerad.radiobiology import load_recovery_tables, rule_sets
from rerad.tables import load_table
from rerad.tables.machines_load import machine_names, read_hounsfield_tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "case-file.md"
"""The page that is written."""

EXAMPLES: Mapping[str, str] = {
    "prescriptions": '{structure = "PTV_4000", dose_gy = 40.0}',
    "phases": '{name = "boost", n_fractions_planned = 5, volumes = [...]}',
    "volumes": '{structure = "PTV_4500", prescribed_gy = 45.0}',
    "references": '{kind = "RTDOSE", uid = "1.2.840..."}',
    "point_doses": '{structure = "Bladder", max_gy = 46.2, source = "summary sheet"}',
    "treated_regions": '{structure = "PTV_old", dose_gy = 45.0, margin_mm = [10, 15], ...}',
    "landmarks": '{name = "promontory", earlier_mm = [1.0, 22.5, -310.0], today_mm = [...]}',
    "drugs": '{drug = "cisplatin", dose_mg = 40, every_days = 7}',
    "findings": '{statement = "thickened nerve", site = "L5/S1", side = "right"}',
}
"""An entry of each table that is written inline."""

INTRODUCTION = """# The case file

<!-- Written by tools/docs/case_file_page.py from src/rerad/case/schema.py: change those. -->

`case.toml` says what `rerad run` is to do: which files are today's, what was given before, what
is prescribed, and every choice of the plan. `rerad import FOLDER --case CASE` writes one with a
comment above every key; `rerad check CASE` reads it and everything it names; `rerad schema`
prints the JSON Schema that this page is made from. The file is strict:

- An unknown key is an error that names file and key. Nothing is ignored.
- Units are in the names: `_gy`, `_mm`, `_deg`, `_months`, `_years`, `_percent`, `_cc`.
- What nobody knows is written `"unknown"`. It is not zero. In the tables of the history there are
  also `"not applicable"` and `"not asked"`, which is what a key that is left out says.
- The tables of the history, from `diagnosis` to `event`, and courses are the same in a
  `history.toml` ([ledger](methods/ledger.md)), where earlier courses are called `course`.
- Dates are TOML dates without quotes: `2019-03-01`.
- "required" keys must be there; others have the default shown. No default is a clinical number.
- What `rerad import` proposes for `[planning]`, `[beams]`, `[objectives]` and the goals of
  targets is written in `src/rerad/tables/planning_proposal.toml`. These are planning choices, to
  be changed by whoever plans; none is a clinical limit.
- Structures are named as in the structure set; UIDs are those that `rerad import` lists.
"""

RULES: Mapping[str, tuple[str, ...]] = {
    "current_course": (
        "`rerad run` needs at least one prescription and a known `n_fractions_planned`.",
        "With a known `n_fractions_delivered` below the planned number, sums are also shown as "
        "delivered.",
    ),
    "planning": (
        "A curve is checked: ascending, from air to at least 1 g/cm3, about 1 at 0 HU. A finding "
        "says where it is generic, or another scanner's or voltage's than the CT names.",
        'What the CT shows outside the body is dropped; `couch = "as_imaged"` keeps what is '
        "behind it.",
        "A `machine` given as a path is looked for from where the command runs.",
        "`recovery_table` is used for limits on the discounted sum only; a limit on the raw sum "
        "is never combined with it.",
    ),
    "robustness": (
        "There is one robust mode, the worst case, and no default size: these are the clinic's "
        "numbers. See [robust-and-pareto](methods/robust-and-pareto.md).",
        "A `prior_shift_mm` above 0 is at least a dose voxel, or it would search nothing; an "
        "`alpha_beta_spread_gy` leaves every alpha/beta above 0.",
        "Limits are judged as without this table; a second verdict says whether each holds in "
        "every scenario.",
    ),
    "pet": (
        "Only facts that are given replace the header's; each is a finding with both values. A "
        "recipe's `[pet]` goes before the case's. See [suv](methods/suv.md).",
    ),
    "nerves": (
        "With this table `rerad run` measures the nerves and shows them in its report; `rerad "
        "target` takes it where its recipe has no `[nerves]`. See [nerve](methods/nerve.md).",
        "A path is drawn (`roots`) or clicked (`clicks`); where it is both, the clicks go first.",
        "`bone_points` make a first proposal of the other paths, for review; nothing is measured "
        "along it. The names are in [nerve](methods/nerve.md#first-proposal-from-bone-points).",
    ),
    "returned_plan": (
        "Patient ID and frame of reference must be those of the planning CT; the RTDOSE must name "
        "the RTPLAN. Every goal of the case and every limit judges it, at its own fractions.",
    ),
    "ct_calibration": (
        "Exactly one of `points` and `file`. A file has a first line `HU,density`; lines that "
        "begin with `#` are passed over.",
        "Beyond its last point the last density is used, and a finding says how much of the body "
        "that is.",
    ),
    "density_override": (
        "In order: where two overlap, the later one holds. A structure outside the body (bolus) "
        "is painted too; dose in it is not reported.",
        "A finding says volume, mean CT number and mean density replaced.",
    ),
    "couch_structure": ('Used if `planning.couch = "structures"`; where the body is, it stays.',),
    "couch_panel": (
        "Used if `planning.couch` is its name. Either `model`, or `layers`, `width_mm` and "
        "`source`.",
        "The couch lies towards +y of a supine patient and towards -y of a prone one.",
    ),
    "prior_course": (
        "`dose_uid` needs `ct_series_uid`: the dose is mapped through that CT.",
        "With a `dose_uid`, `rerad check` wants both numbers of fractions known: without them the "
        "dose cannot be turned into EQD2.",
        "A course without `dose_uid` stays in the history and in no sum; a finding says so.",
        "How its CT comes onto today's: `registration_uid` as given, else by bones, and with "
        '`registration = "deformable"` on top of that. `landmarks` judge whatever is used. What '
        "is not assured is not mapped: each organ's highest dose in the course's own structures "
        "counts instead ([registration](methods/registration.md)).",
        "An unknown `interval_months` is allowed: every interval that cannot be excluded is then "
        "shown, and the plan is made under the one that leaves least.",
    ),
    "goal": (
        "Exactly one of `at_most` and `at_least`; `priority` or `is_hard`, not both.",
        '`scope = "cumulative"` needs `alpha_beta_gy`; such goals are judged on the raw sum.',
        "Shorter: a line under [`goals`](#lines-of-goals). Both may stand in one file.",
    ),
    "accepted_breach": (
        "The limit is then held outside the prescribed targets only. The whole organ, the part "
        "shared with the targets (`SacralPlex_R&PTV`), the rest (`SacralPlex_R-PTV`) and the "
        "other side (`SacralPlex_L`) are judged one by one; the breach is reported as serious.",
    ),
}
"""What must hold besides types and ranges."""

GOAL_LINES = """## Lines of `goals`

A clinical goal as clinicians write it, one line each:

    goals = [
        "1: PTV_4000 D95% >= 95%",
        "2: PTV_4000 near-max <= 107%",
        "SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5 must",
        "3: Bowel_Small V45Gy <= 195 cc -- where the number comes from",
    ]

| part | | |
|---|---|---|
| `1:` or `(priority 1)` | may be left out | rank; 1 comes first. Without: judged, not ranked |
| structure | needed | as named in the structure set; `"in quotes"` if the name holds a space |
| metric | needed | see the table below |
| `[EQD2]` or `[Gy]` | may be left out | EQD2 of all courses, raw sum; else this plan's dose |
| `<=` `>=` (or `<` `>` `≤` `≥` `⩽` `⩾`) and the limit | needed | `<` is read as `<=` |
| `Gy` `%` `cc` | needed | after `[EQD2]` or `[Gy]`, Gy may be left out; an index has none |
| `ab=2.5` | for `[EQD2]` | alpha/beta in Gy; see below where it may be left out |
| `must` | may be left out | a limit that holds at every priority; it has no priority itself |
| `-- text` | may be left out | where the number comes from; printed in the report |

| metric | what it is | limit in |
|---|---|---|
| `Dmean`, `Dmax`, `Dmin` | mean (also `mean`), highest, lowest | Gy, % of the prescription |
| `D0.1cc`, `D95%` | dose that this volume receives or exceeds | Gy, % of the prescription |
| `near-max`, `near-min`, `median` | D2%, D98%, D50% (ICRU 83) | the same |
| `V45Gy`, `V95%` | volume at a dose, or at a share of the prescription | cc, % of the volume |
| `gEUD8` | generalised equivalent uniform dose, exponent 8 | Gy, % of the prescription |
| `HI` | (D2% - D98%) / D50% (ICRU 83) | |
| `CI`, `CI95%` | Paddick's conformity index of the 100 % or another isodose | |
| `R50%` | volume of the 50 % isodose over the target's volume | |
| `D2cm` | highest dose at least 2 cm from the target | Gy, % of the prescription |

- 100 % is a target's own prescription; for what is no target, the highest of the plan. `R50%` and
  `D2cm` of a target are about that target and the whole body; of anything else, about all targets
  together and the dose in that structure. `CI` is of a prescribed target only.
- There is no default alpha/beta. A line on EQD2 without one takes the tumour's of the case for a
  prescribed target, and the rule set's for an organ that the rule set knows with one value; the
  report says so. Otherwise it is an error.
- `must` is for upper bounds on doses and volumes only, one for each metric of a structure.
- A metric that is not known is refused with the list of those that are and the nearest of them.
"""
"""How a goal is written; docs/methods/goals.md has the formulas."""

TITLES: Mapping[str, str] = {"current_course": "The course to be planned."}
"""What a table is for, where its own description speaks of more than this use."""


def is_table(schema: Mapping[str, Any]) -> bool:
    """Return whether a key holds a table or an array of tables."""
    return bool(reference(schema))


def reference(schema: Mapping[str, Any]) -> str:
    """Return the name of the table that a key refers to."""
    places = (schema, schema.get("items", {}), *schema.get("anyOf", ()))
    found = next((place["$ref"] for place in places if "$ref" in place), "")
    return str(found).rsplit("/", 1)[-1]


def literal(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return str(value)


def bounds(schema: Mapping[str, Any]) -> str:
    """Return the range of a number in words, or nothing."""
    words = {
        "minimum": "from {:g}",
        "exclusiveMinimum": "above {:g}",
        "maximum": "to {:g}",
        "exclusiveMaximum": "below {:g}",
    }
    parts = [text.format(schema[key]) for key, text in words.items() if key in schema]
    return " " + " ".join(parts) if parts else ""


def type_text(schema: Mapping[str, Any]) -> str:
    """Return what a key may hold, in words."""
    if "anyOf" in schema:
        return " or ".join(type_text(s) for s in schema["anyOf"] if s.get("type") != "null")
    if "const" in schema:
        return f"`{literal(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{literal(value)}`" for value in schema["enum"])
    if reference(schema):
        name = next(key for key, table in INLINE.items() if table == reference(schema))
        return f"list, see [Entries of `{name}`](#entries-of-{name})"
    if schema["type"] == "array" and "prefixItems" in schema:
        return "[" + ", ".join(type_text(item) for item in schema["prefixItems"]) + "]"
    if schema["type"] == "array" and "minItems" in schema:
        return f"list of at least {schema['minItems']}: {type_text(schema['items'])}"
    if schema["type"] == "array":
        return f"list of {type_text(schema['items'])}"
    if schema["type"] == "object":
        return f"table of {type_text(schema['additionalProperties'])}"
    if schema.get("format") == "date":
        return "date"
    names = {"integer": "whole number", "boolean": "true or false", "string": "text"}
    text = names.get(schema["type"], schema["type"]) + bounds(schema)
    return f"{text}, not empty" if schema.get("minLength") else text


def default_text(key: str, schema: Mapping[str, Any], required: list[str]) -> str:
    """Return the default of a key, or that it must be there."""
    if key in required:
        return "required"
    value = schema.get("default")
    return "absent" if value in (None, {}) else f"`{literal(value)}`"


INLINE: dict[str, str] = {
    "prescriptions": "PrescriptionTable",
    "phases": "PhaseTable",
    "volumes": "VolumeTable",
    "references": "ReferenceTable",
    "drugs": "DrugTable",
    "findings": "FindingTable",
    "point_doses": "PointDoseTable",
    "landmarks": "LandmarkTable",
    "treated_regions": "TreatedRegionTable",
}
"""Keys of tables that hold lists of inline tables."""


def key_rows(table: Mapping[str, Any]) -> Iterator[str]:
    """Return the keys of a table of the case file as a Markdown table."""
    yield "| key | holds | default | meaning |"
    yield "|---|---|---|---|"
    for key, schema in table["properties"].items():
        if is_table(schema) and reference(schema) not in INLINE.values():
            continue
        cells = [f"`{key}`", type_text(schema)]
        cells += [default_text(key, schema, table.get("required", []))]
        cells += [schema.get("description", "")]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def section(name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """Return the section of one table of the case file."""
    table = definitions[reference(schema)]
    is_array = schema.get("type") == "array"
    yield f"## {'[[' if is_array else '['}{name}{']]' if is_array else ']'}"
    yield ""
    count = "At most once; left out, there is none." if "anyOf" in schema else "Once, required."
    if is_array:
        count = "Any number of them, each under its own heading."
    yield f"{TITLES.get(name, table['description'])} {count}"
    yield ""
    yield from key_rows(table)
    yield ""
    for rule in RULES.get(name, ()):
        yield f"- {rule}"
    if name in RULES:
        yield ""


def names_section() -> Iterator[str]:
    """Return the names that may be used for things that ship with rerad."""
    yield "## Names that ship"
    yield ""
    yield "| key | names | |"
    yield "|---|---|---|"
    machines = ", ".join(f"`{name}`" for name in machine_names())
    yield f"| `planning.machine` | {machines} | or the path of a machine file |"
    for name, curve in read_hounsfield_tables().items():
        yield f"| `planning.hounsfield_curve` | `{name}` | {curve['title']} |"
    for name, couch in load_table("couches").items():
        yield f"| `couch_panel.model` | `{name}` | {couch['title']} |"
    for rules in rule_sets():
        yield f"| `planning.rule_set`, `compared_rule_sets` | `{rules.name}` | {rules.title} |"
    for table in load_recovery_tables():
        yield f"| `planning.recovery_table` | `{table.name}` | {table.title} |"


def page() -> str:
    """Return the whole page."""
    schema = case_schema()
    definitions: Mapping[str, Any] = schema["$defs"]
    lines = [INTRODUCTION, "## At the top", "", *key_rows(schema), "", GOAL_LINES]
    for name, item in schema["properties"].items():
        if is_table(item):
            lines.extend(section(name, item, definitions))
    for name, table in INLINE.items():
        lines += [f"## Entries of `{name}`", ""]
        lines += [f"{definitions[table]['description']} Written inline, one line each:", ""]
        lines += [f"    {name} = [", f"        {EXAMPLES[name]},", "    ]", ""]
        lines += [*key_rows(definitions[table]), ""]
    lines += list(names_section())
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
