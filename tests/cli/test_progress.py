"""What is shown while a study runs."""

from types import SimpleNamespace

import pytest

import sweep.progress
from studies.study import read_study
from sweep.cli.progress import EVERY, shown_progress
from sweep.progress import Progress, Watch, described


def progress(seconds: float = 0.0, **changes: object) -> Progress:
    values: dict[str, object] = {
        "stage": "training",
        "trials_done": 100_000,
        "trials_total": 100_000,
        "runs_done": 500_000,
        "runs_total": 500_000,
        "runs_training": 1024,
        "solved": 400_000,
        "best": None,
        "runs_per_second": 131.5,
        "seconds": seconds,
        "seconds_left": 3725.0,
    }
    return Progress(**(values | changes))  # type: ignore[arg-type]


def test_a_line_fits_beside_the_bar_on_eighty_columns() -> None:
    text = described(progress())
    assert text == "trials 100000/100000 · 1024 training · 132 models/s · 1:02:05 left"
    assert len(text) + len(" · best 100 epochs") <= 90


def test_while_none_is_finished_the_epochs_trained_are_a_sign_of_life() -> None:
    slow = progress(
        runs_done=0, trials_done=0, runs_per_second=0.0, seconds_left=None, epochs_trained=12_345
    )
    assert described(slow) == "trials 0/100000 · 1024 training · 12,345 epochs so far"


@pytest.mark.parametrize(
    ("seconds", "runs", "left"), [(30, 100, None), (30, 250, 30.0), (70, 100, 280.0), (70, 9, None)]
)
def test_the_time_left_is_said_when_half_is_done_or_a_minute_was_trained(
    monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int, left: float | None
) -> None:
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(sweep.progress, "time", clock)
    seen: list[Progress] = []
    now = 0.0
    watch = Watch(read_study("hello-lstm"), seen.append)
    watch.engine_since = 0.0
    now = seconds - 10.0
    watch.trained = watch.runs = runs - runs * 10 // int(seconds)
    watch.show(now=True)
    now = float(seconds)
    watch.trained = watch.runs = runs
    watch.show(now=True)
    said = seen[-1].seconds_left
    assert said == (None if left is None else pytest.approx(left, rel=0.1))


def test_before_anything_trains_the_stage_alone_is_said() -> None:
    assert described(progress(stage="opening", runs_done=0, runs_training=0)) == "opening"


def test_without_a_terminal_there_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_progress() as show:
        for tenth in range(int(10 * EVERY * 2) + 1):
            show(progress(tenth / 10, runs_training=tenth))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("]")[0] for line in lines] == ["[0 s", "[5 s", "[10 s"]
