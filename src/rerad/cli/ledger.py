"""``rerad ledger``: a patient's history, kept for good."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from rerad.case import ledger_output
from rerad.case.ledger_heads import note_head, noted_heads
from rerad.case.ledger_history import treatment_history
from rerad.case.ledger_input import changed_record, history_of_path, record_of_words
from rerad.cli.arguments import JsonOption
from rerad.cli.console import ExitCode, print_json, reporting_errors
from rerad.ledger import (
    Ledger,
    Receipt,
    Signature,
    add_history,
    add_record,
    head_of,
    open_ledger,
    patient_ids,
    read_current,
    read_history,
    read_revisions,
    revise_record,
    verify_ledger,
    withdraw_record,
)
from rerad.reporting import write_timeline

ledger_app = typer.Typer(
    help="A patient's courses, events and outcome, kept for good with an audit trail.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

LedgerOption = Annotated[
    str,
    typer.Option(
        "--ledger", envvar="RERAD_LEDGER", help="SQLite file, or postgresql://user@host/database."
    ),
]
ActorOption = Annotated[
    str, typer.Option("--actor", envvar="RERAD_ACTOR", help="Who does it; else the login name.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; a change needs one.")]
PatientArgument = Annotated[str, typer.Argument(help="Patient ID.")]
WordsArgument = Annotated[
    list[str] | None, typer.Argument(help="key=value, as in history.toml.", show_default=False)
]
RevisionOption = Annotated[
    int, typer.Option("--from-revision", help="The revision that you saw; another's is kept.")
]


def _signature(actor: str, reason: str) -> Signature:
    """Return who changes something, now."""
    return Signature(actor or getpass.getuser(), datetime.now(UTC), reason)


@contextmanager
def _opened(where: str, *, may_create: bool = False) -> Iterator[Ledger]:
    """Give the ledger and let go of it."""
    ledger = open_ledger(where, may_create=may_create)
    try:
        yield ledger
    finally:
        ledger.close()


def _acknowledge(
    receipts: tuple[Receipt, ...], *, as_json: bool, notes: tuple[str, ...] = ()
) -> None:
    """Say what is on record now, and what to know of it."""
    if as_json:
        written = [ledger_output.receipt(r) for r in receipts]
        print_json({"status": "done", "written": written} | ({"notes": notes} if notes else {}))
        return
    for item in receipts:
        typer.echo(f"{item.patient_id} {item.key} revision {item.revision}")
    for note in notes:
        typer.echo(f"note: {note}")


@ledger_app.command("add")
def add(
    kind: Annotated[str, typer.Argument(help="symptom, strength, opioid, course, death ...")],
    words: WordsArgument = None,
    *,
    patient: Annotated[str, typer.Option("--patient", help="Patient ID.")],
    where: LedgerOption,
    actor: ActorOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add a record to a patient who is in the ledger."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        record = record_of_words(kind, words or [])
        receipt = add_record(ledger, patient, record, _signature(actor, reason))
    _acknowledge((receipt,), as_json=as_json)


@ledger_app.command("revise")
def revise(
    patient: PatientArgument,
    key: Annotated[str, typer.Argument(help="Key of the record.")],
    words: WordsArgument = None,
    *,
    from_revision: RevisionOption,
    where: LedgerOption,
    actor: ActorOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Change a record by a new revision; the earlier ones stay."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        last = read_revisions(ledger, patient, key)[-1]
        receipt = revise_record(
            ledger,
            patient,
            changed_record(last.record, words or []),
            _signature(actor, reason),
            expected_revision=from_revision,
        )
    _acknowledge((receipt,), as_json=as_json)


@ledger_app.command("withdraw")
def withdraw(
    patient: PatientArgument,
    key: Annotated[str, typer.Argument(help="Key of the record.")],
    *,
    from_revision: RevisionOption,
    where: LedgerOption,
    actor: ActorOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take a record back by a new revision; what it said stays readable."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        signature = _signature(actor, reason)
        receipt = withdraw_record(ledger, patient, key, signature, expected_revision=from_revision)
    _acknowledge((receipt,), as_json=as_json)


@ledger_app.command("import")
def import_history(
    file: Annotated[Path, typer.Argument(help="history.toml, .json, a FHIR bundle, or a case.")],
    *,
    where: LedgerOption,
    patient: Annotated[str, typer.Option("--patient", help="Patient ID, for a case.")] = "",
    actor: ActorOption = "",
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add a patient with the whole history of a file, or nothing."""
    with reporting_errors(as_json=as_json):
        history, notes = history_of_path(file, patient)
        with _opened(where, may_create=True) as ledger:
            receipts = add_history(ledger, history, _signature(actor, reason))
    _acknowledge(receipts, as_json=as_json, notes=notes)


@ledger_app.command("show")
def show(
    patient: Annotated[str, typer.Argument(help="Patient ID; left out, all are listed.")] = "",
    *,
    where: LedgerOption,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", help="What was on record then (UTC).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a patient's history with the outcome of each course, or who is in the ledger."""
    until = None if as_of is None else as_of.replace(tzinfo=UTC)
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        if not patient:
            ids = patient_ids(ledger)
            print_json({"patients": ids}) if as_json else typer.echo("\n".join(ids))
            return
        history = read_history(ledger, patient, as_of=until)
        current = read_current(ledger, patient, as_of=until)
        revisions = {stored.record.key: stored.revision for stored in current}
        document = ledger_output.show_document(history, revisions)
    if as_json:
        print_json(document)
        return
    for line in ledger_output.show_lines(document):
        typer.echo(line)


@ledger_app.command("timeline")
def timeline(
    patient: PatientArgument,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="FILE.png, .pdf or .svg.")],
    where: LedgerOption,
    as_json: JsonOption = False,
) -> None:
    """Draw a patient's story as one picture."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        write_timeline(treatment_history(read_history(ledger, patient)), out)
    print_json({"status": "done", "file": str(out)}) if as_json else typer.echo(str(out))


@ledger_app.command("export")
def export(
    patient: Annotated[
        str, typer.Argument(help="Patient ID; left out, all (folder of CSV).")
    ] = "",
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help=ledger_output.FORMS)],
    where: LedgerOption,
    alpha_beta: Annotated[
        list[float] | None, typer.Option("--alpha-beta", help="Gy, of the EQD2 in FHIR; repeat.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Tables as Parquet too (needs rerad[research]).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a patient's history, or a table of each kind of record of all patients."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        ids = (patient,) if patient else patient_ids(ledger)
        histories = (read_history(ledger, name) for name in ids)
        files = ledger_output.write_export(
            histories,
            out,
            is_one=bool(patient),
            alpha_betas_gy=tuple(alpha_beta or ()),
            as_parquet=parquet,
            source=f"Records of the ledger {ledger.name}, whose audit trail ends with "
            f"{head_of(ledger)}.",
        )
        left_out = {}
        if patient and out.name.lower().endswith(".fhir.json"):
            left_out = ledger_output.left_out_of_fhir(read_history(ledger, patient))
    if as_json:
        document = {"status": "done", "files": [str(file) for file in files]}
        print_json(document | {"left_out": left_out} if left_out else document)
        return
    for file in files:
        typer.echo(str(file))
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
        typer.echo(
            f"FHIR takes the patient and the courses; left out: {kinds}. A .toml keeps all of it.",
            err=True,
        )


@ledger_app.command("verify")
def verify(
    *,
    where: LedgerOption,
    head: Annotated[str, typer.Option("--head", help="Hash noted earlier: still there?")] = "",
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="File of heads noted earlier; the present one is added."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the chain of the audit trail, and every row against it."""
    with reporting_errors(as_json=as_json), _opened(where) as ledger:
        noted = () if heads is None else noted_heads(heads)
        expected = (*noted, *([head] if head else ()))
        found = verify_ledger(ledger, expected_heads=expected)
        if heads is not None and found.is_sound:
            note_head(heads, found)
    if as_json:
        print_json(ledger_output.verification(found))
    else:
        for problem in found.problems:
            typer.echo(problem)
        typer.echo(f"{found.n_entries} audit entries, {found.n_revisions} revisions checked")
        if not expected:
            typer.echo("entries cut off the end are not seen: note the head elsewhere (--heads)")
        n_problems = len(found.problems)
        words = f"{n_problems} problem{'s' if n_problems > 1 else ''}"
        typer.echo("sound" if found.is_sound else words)
        typer.echo(f"head {found.head}")
    if not found.is_sound:
        raise typer.Exit(ExitCode.FAILED)
