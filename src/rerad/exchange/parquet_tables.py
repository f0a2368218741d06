"""The research tables once more as Parquet, typed column by column, where pyarrow is installed."""

from collections.abc import Iterable
from pathlib import Path

from rerad.errors import MissingDataError


def require_parquet() -> None:
    """Raise unless Parquet can be written here.

    Raises
    ------
    MissingDataError
        If pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        msg = (
            "Parquet needs pyarrow, which is not installed (it weighs more than rerad); install "
            "rerad[research], or take the CSV tables, which hold the same"
        )
        raise MissingDataError(msg) from error


def write_parquet_tables(csv_files: Iterable[Path]) -> tuple[Path, ...]:
    """Write a Parquet file beside each CSV table.

    Types are read off the columns: whole numbers, numbers, dates, true and false, text. An empty
    cell is null; why it is empty says the column ``<name>_absent``, as in the CSV.

    Parameters
    ----------
    csv_files : iterable of Path
        From :func:`rerad.exchange.write_research_tables`.

    Returns
    -------
    tuple of Path
        The new files.

    Raises
    ------
    MissingDataError
        If pyarrow is not installed.
    """
    require_parquet()
    from pyarrow import csv, parquet

    convert = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=True)
    parse = csv.ParseOptions(newlines_in_values=True)
    written = []
    for path in csv_files:
        table = csv.read_csv(path, convert_options=convert, parse_options=parse)
        place = path.with_suffix(".parquet")
        beside = path.with_name(f".{place.name}")
        parquet.write_table(table, beside)
        beside.replace(place)
        written.append(place)
    return tuple(written)
