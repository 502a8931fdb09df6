"""Comparisons of a study's results: between the values of a setting, between trials, or studies.

`compare_setting`, `compare_trials` and `compare_studies` choose the runs and return a
`StudyComparison`, whose numbers are those of `sweep.analysis.compare`; `finding` says in sentences
what was found, and `as_json` gives all of it as plain values.
"""

from sweep.comparing.comparison import (
    MEASURES,
    Measure,
    StudyComparison,
    compare_setting,
    compare_studies,
    compare_trials,
)
from sweep.comparing.document import as_json
from sweep.comparing.groups import Group
from sweep.comparing.sentences import finding

__all__ = [
    "MEASURES",
    "Group",
    "Measure",
    "StudyComparison",
    "as_json",
    "compare_setting",
    "compare_studies",
    "compare_trials",
    "finding",
]
