"""A case on disk: case.toml, importing a folder, checking it, running it, the demo."""

from rerad.case.demo import DemoSettings, run_demo, write_demo_patient
from rerad.case.files import case_schema, read_case, write_case
from rerad.case.import_folder import ImportLine, ImportReport, import_folder
from rerad.case.load import LoadedCase, load_case
from rerad.case.outputs import run_summary
from rerad.case.run import CheckReport, RunReport, check_case, run_case
from rerad.case.schema import CaseFile

__all__ = [
    "CaseFile",
    "CheckReport",
    "DemoSettings",
    "ImportLine",
    "ImportReport",
    "LoadedCase",
    "RunReport",
    "case_schema",
    "check_case",
    "import_folder",
    "load_case",
    "read_case",
    "run_case",
    "run_demo",
    "run_summary",
    "write_case",
    "write_demo_patient",
]
