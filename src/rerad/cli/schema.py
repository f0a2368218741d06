"""``rerad schema``: the JSON Schema of the case file."""

from rerad.case import case_schema
from rerad.cli.console import print_json


def schema() -> None:
    """Print the JSON Schema of case.toml."""
    print_json(case_schema())
