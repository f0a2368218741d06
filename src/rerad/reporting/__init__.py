"""The report of a run: what it says as one pure object, and that as HTML, PDF and figures."""

from rerad.reporting.closing import closing_table
from rerad.reporting.consult import Consult
from rerad.reporting.content import report_content
from rerad.reporting.document import ReportContent, Table
from rerad.reporting.history_sheet import write_history_sheet
from rerad.reporting.timeline import write_timeline
from rerad.reporting.write import ReportFiles, write_report
from rerad.reporting.write_pareto import write_pareto

__all__ = [
    "Consult",
    "ReportContent",
    "ReportFiles",
    "Table",
    "closing_table",
    "report_content",
    "write_history_sheet",
    "write_pareto",
    "write_report",
    "write_timeline",
]
