"""``rerad deidentify``: a folder of DICOM files without whom they are of."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, print_json, reporting_errors, say
from rerad.dicom import DeidentifiedFolder, PseudonymKey, deidentify_folder, new_key
from rerad.errors import InputError


def deidentify(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder.")],
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="Secret, 16 characters or more: same pseudonyms again."),
    ] = None,
    keep_characteristics: Annotated[
        bool, typer.Option("--keep-characteristics", help="Keep sex, age, size, weight (SUV).")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take names, numbers, dates and UIDs out of DICOM files; intervals stay as they were."""
    say(BANNER, is_quiet=quiet)
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        done = deidentify_folder(
            folder,
            out,
            new_key() if key_file is None else _key(key_file),
            keep_characteristics=keep_characteristics,
            progress=lambda n, n_all: steps("cleaning", n / n_all),
        )
    if as_json:
        print_json(_document(done))
        return
    typer.echo(f"{out}: {len(done.files)} files of {len(done.patients)} patients")
    for item in done.skipped:
        typer.echo(f"  left out: {item.path}: {item.reason}")
    for finding in done.findings:
        typer.echo(f"  {finding.severity}: {finding.text}")
    if key_file is None:
        typer.echo("  note: the key was drawn and forgotten; another run gives other pseudonyms")


def _key(path: Path) -> PseudonymKey:
    """Return the secret of a file, without the end of its line."""
    try:
        return PseudonymKey(path.read_bytes().strip())
    except OSError as error:
        msg = f"the key file {path} cannot be read: {error.strerror}"
        raise InputError(msg) from error


def _document(done: DeidentifiedFolder) -> dict[str, object]:
    """Return what was done as a document; paths that were left out may name a patient."""
    return {
        "status": "done",
        "files": [str(path) for path in done.files],
        "patients": list(done.patients),
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in done.skipped],
        "findings": [{"code": f.code, "text": f.text} for f in done.findings],
    }
