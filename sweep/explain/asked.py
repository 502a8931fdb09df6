"""Which trials of a study were explained, so that its report can show it.

The runs of an explanation are ordinary runs. That somebody asked for them is an attribute of the
study: trial numbers, each with the seeds that its explanation had.
"""

from storage.database import Database
from storage.trials import add_attributes, find_study

ATTRIBUTE = "explained"


def note_asked(db: Database, name: str, trial: int, seeds: int) -> None:
    """Notes that a trial was explained from so many seeds; fewer than before change nothing.

    Raises StorageFailure where the study was changed or the storage cannot be written to.
    """
    stored = find_study(db, name)
    known = asked(db, name)
    if stored is not None and known.get(trial, 0) < seeds:
        noted = {str(number): count for number, count in {**known, trial: seeds}.items()}
        add_attributes(db, stored, {ATTRIBUTE: noted})


def asked(db: Database, name: str) -> dict[int, int]:
    """The explained trials of a study by number, with their seeds; none for one that is not there.

    What another program wrote in that place counts as nothing.
    """
    stored = find_study(db, name)
    noted = stored.user_attrs.get(ATTRIBUTE) if stored is not None else None
    if not isinstance(noted, dict):
        return {}
    numbers = {str(trial): seeds for trial, seeds in noted.items() if isinstance(seeds, int)}
    return {int(trial): numbers[trial] for trial in sorted(numbers) if trial.isdecimal()}
