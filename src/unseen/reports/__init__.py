"""The report of an evaluation: one self-contained page from the results alone."""

from unseen.reports.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
