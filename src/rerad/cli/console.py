"""What every command shares: progress, JSON, errors, exit codes."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rerad.errors import ReradError

BANNER = "rerad is research software. It is not a medical device and must not guide treatment."
"""Shown at the start of every command that computes."""


INTERRUPTED = 130
"""Exit code of a command that was stopped by Ctrl-C, as shells have it."""

GOES_ON = "the same command goes on from here"
"""After Ctrl-C, where a plan is being made."""


class ExitCode(IntEnum):
    """What a command's exit code means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LIMIT_EXCEEDED = 3


class Steps:
    """Says what is being done: a bar on a terminal, a line per step otherwise, or nothing.

    Parameters
    ----------
    is_quiet : bool
        Say nothing.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._last = ""
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if not self._is_quiet and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, share: float) -> None:
        """Say what is being done, and the share of it done."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=share)
            return
        step = what.split(":", 1)[0]
        if not self._is_quiet and step != self._last:
            seconds = time.monotonic() - self._started
            typer.echo(f"[{seconds:6.1f} s] {step}", err=True)
        self._last = step


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def reporting_errors(*, as_json: bool) -> Iterator[None]:
    """Turn an error of rerad, or of the disk, into one sentence and exit code 1."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        yield
    except BrokenPipeError:  # whoever read what is printed has gone: not an error of the case
        raise
    except (ReradError, OSError) as error:
        text = _disk_text(error) if isinstance(error, OSError) else str(error)
        if as_json:
            print_json({"status": "failed", "error": text, "kind": type(error).__name__})
        else:
            typer.echo(f"rerad: {text}", err=True)
        raise typer.Exit(ExitCode.FAILED) from error


def _disk_text(error: OSError) -> str:
    """Say what could not be read or written, and why."""
    where = error.filename if error.filename is not None else "a file could not be written"
    return f"{where}: {error.strerror or error}"


@contextmanager
def saying_what_stops(text: str) -> Iterator[None]:
    """Turn Ctrl-C into one sentence and the exit code of a command that was stopped."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"rerad: stopped; {text}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def say(text: str, *, is_quiet: bool) -> None:
    """Print a line on stderr unless told to be quiet."""
    if not is_quiet:
        typer.echo(text, err=True)
