"""Why a configuration sits on its plateau: interventions, each with the same seeds, and a verdict.

`explain` takes a configuration, changes one thing after another, trains every change from the same
seeds as the baseline, and says from the paired runs what shortens the plateau, what lengthens it
and what does not matter. The runs are ordinary runs in the storage; the findings follow from them,
so a second call only reads. The rooms, in the order of the work:

- `interventions` are the changes, as data;
- `training` finds the runs in the storage and trains those that are missing;
- `effects` compares each change with the baseline, seed by seed;
- `hidden` says what moved in the baseline's networks under the flat curve;
- `verdict` makes sentences of all that by rules, which its head states;
- `asked` remembers which trials were explained.
"""

from sweep.explain.asked import asked
from sweep.explain.effects import Arm, Effect
from sweep.explain.explanation import (
    DEFAULT_STUDY,
    SEEDS,
    Explanation,
    explain,
    explanation_json,
    stored_explanation,
)
from sweep.explain.hidden import HiddenProgress, median_curve
from sweep.explain.interventions import Intervention

__all__ = [
    "DEFAULT_STUDY",
    "SEEDS",
    "Arm",
    "Effect",
    "Explanation",
    "HiddenProgress",
    "Intervention",
    "asked",
    "explain",
    "explanation_json",
    "median_curve",
    "stored_explanation",
]
