"""The report: one self-contained HTML file about a study."""

from sweep.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
