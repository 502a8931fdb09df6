"""Comparisons of a study's results: between the values of a setting, between trials, or studies.

`compare_setting`, `compare_trials` and `compare_studies` choose the runs and return a
`StudyComparison`, whose numbers are those of `sweep.analysis.compare`; `finding` says in sentences
what was found, and `as_json` gives all of it as plain values. `laws_of` says by which law times go
with a setting, along the trials that differ in it alone.
"""

from sweep.comparing.comparison import (
    MEASURES,
    Measure,
    StudyComparison,
    compare_setting,
    compare_studies,
    compare_trials,
)
from sweep.comparing.document import as_json, law_as_json
from sweep.comparing.groups import Group
from sweep.comparing.laws import StudyLaw, Theory, law_finding, laws_of
from sweep.comparing.sentences import finding

__all__ = [
    "MEASURES",
    "Group",
    "Measure",
    "StudyComparison",
    "StudyLaw",
    "Theory",
    "as_json",
    "compare_setting",
    "compare_studies",
    "compare_trials",
    "finding",
    "law_as_json",
    "law_finding",
    "laws_of",
]
