"""Reading tables, their schemas, and preprocessing."""

from unseen.data.preprocessing import TablePreprocessor
from unseen.data.reading import TableBatch, read_table, scan_table
from unseen.data.sample import load_sample, sample_citation, sample_path
from unseen.data.schema import ColumnRoles, TableSchema
from unseen.data.tables import Table, concat

__all__ = [
    "ColumnRoles",
    "Table",
    "TableBatch",
    "TablePreprocessor",
    "TableSchema",
    "concat",
    "load_sample",
    "read_table",
    "sample_citation",
    "sample_path",
    "scan_table",
]
