"""The report: one self-contained HTML file about a study, and its figures for themselves."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.report.page import render_report, write_report
    from sweep.report.plots import figures

__all__ = ["figures", "render_report", "write_report"]


def __getattr__(name: str) -> Any:
    # Commands that only rank and describe import parts of this package, and not the page.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sweep.report import page, plots

    return getattr(plots if name == "figures" else page, name)
