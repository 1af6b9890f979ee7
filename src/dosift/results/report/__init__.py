"""The report page: one self-contained HTML file, made from ``result.json`` alone."""

from dosift.results.report.page import render_report

__all__ = ["render_report"]
