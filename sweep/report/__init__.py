"""The report: one self-contained HTML file about a study."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]


def __getattr__(name: str) -> Any:
    # Commands that only rank and describe import parts of this package, and not the page.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sweep.report import page

    return getattr(page, name)
