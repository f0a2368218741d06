"""The research tables once more as Parquet, typed column by column, where pyarrow is installed."""

from collections.abc import Iterable
from csv import reader
from datetime import date
from pathlib import Path

from rerad.errors import MissingDataError
from rerad.exchange.research_tables import column_types


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

    Types are those of the records: whole numbers, numbers, dates, true and false; all else is
    text, so that a patient ID ``00123`` keeps its zeros. An empty cell is null; why it is empty
    says the column ``<name>_absent``, as in the CSV.

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
    import pyarrow
    from pyarrow import csv, parquet

    arrow = {
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        date: pyarrow.date32(),
    }
    known = column_types()
    parse = csv.ParseOptions(newlines_in_values=True)
    written = []
    for path in csv_files:
        with path.open(encoding="utf-8", newline="") as handle:
            names = next(reader(handle))
        kinds = known.get(path.stem, {})
        convert = csv.ConvertOptions(
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            column_types={
                name: arrow[kinds[name]] if name in kinds else pyarrow.string() for name in names
            },
        )
        table = csv.read_csv(path, convert_options=convert, parse_options=parse)
        place = path.with_suffix(".parquet")
        beside = path.with_name(f".{place.name}")
        parquet.write_table(table, beside)
        beside.replace(place)
        written.append(place)
    return tuple(written)
