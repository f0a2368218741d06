"""Courses in the words of others: FHIR after the CodeX radiation therapy guide, and tables.

The only room that knows FHIR. It reads and writes plain JSON and needs no FHIR library; tests
hold what it writes to structural models and to the guide's own invariants.
"""

from rerad.exchange.constraints import Problem, check_bundle
from rerad.exchange.fhir_read import ImportedCourses, RadiobiologicMetric, courses_of_bundle
from rerad.exchange.fhir_write import fhir_bundle
from rerad.exchange.parquet_tables import require_parquet, write_parquet_tables
from rerad.exchange.research_tables import write_research_tables

__all__ = [
    "ImportedCourses",
    "Problem",
    "RadiobiologicMetric",
    "check_bundle",
    "courses_of_bundle",
    "fhir_bundle",
    "require_parquet",
    "write_parquet_tables",
    "write_research_tables",
]
