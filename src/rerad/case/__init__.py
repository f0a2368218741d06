"""A case on disk: case.toml, importing a folder, checking it, running it, the demo."""

from rerad.case.accumulate import Accumulation, DoseFile, accumulate_files, write_sums
from rerad.case.accumulate_history import accumulate_case
from rerad.case.commission import CommissionResult, commission_machine
from rerad.case.commission_outputs import commission_summary, write_commission
from rerad.case.demo import DemoSettings, run_demo, write_demo_patient
from rerad.case.files import case_schema, read_case, write_case
from rerad.case.import_folder import ImportLine, ImportReport, import_folder
from rerad.case.load import LoadedCase, load_case
from rerad.case.measured import MeasuredCurve, read_measured
from rerad.case.outputs import run_summary
from rerad.case.pareto_file import inputs_hash, load_pareto, save_pareto
from rerad.case.plan_case import (
    PlanReport,
    export_plan,
    latest_plan_folder,
    plan_case,
    plan_summary,
)
from rerad.case.run import CheckReport, RunReport, check_case, run_case
from rerad.case.schema import CaseFile
from rerad.case.slab import read_slab
from rerad.case.trade import (
    TradeReport,
    WishResult,
    read_wishes,
    trade_at,
    trade_case,
    trade_summary,
    wish_results,
)

__all__ = [
    "Accumulation",
    "CaseFile",
    "CheckReport",
    "CommissionResult",
    "DemoSettings",
    "DoseFile",
    "ImportLine",
    "ImportReport",
    "LoadedCase",
    "MeasuredCurve",
    "PlanReport",
    "RunReport",
    "TradeReport",
    "WishResult",
    "accumulate_case",
    "accumulate_files",
    "case_schema",
    "check_case",
    "commission_machine",
    "commission_summary",
    "export_plan",
    "import_folder",
    "inputs_hash",
    "latest_plan_folder",
    "load_case",
    "load_pareto",
    "plan_case",
    "plan_summary",
    "read_case",
    "read_measured",
    "read_slab",
    "read_wishes",
    "run_case",
    "run_demo",
    "run_summary",
    "save_pareto",
    "trade_at",
    "trade_case",
    "trade_summary",
    "wish_results",
    "write_case",
    "write_commission",
    "write_demo_patient",
    "write_sums",
]
