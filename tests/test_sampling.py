"""What is tried depends on the study alone, whenever and in whatever pieces it is run."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from storage.trials import StoredTrial
from studies.errors import BadInput
from studies.study import Study
from sweep.sampling import GENERATION, Proposals, quiet

SPACE: dict[str, Any] = {
    "layers": {"low": 1, "high": 4},
    "units": {"low": 4, "high": 32, "log": True},
    "optimizer": ["adam", "sgd", "rmsprop"],
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
}
GRID: dict[str, Any] = {
    "units": [4, 8],
    "optimizer": ["adam", "sgd"],
    "momentum": {"low": 0.0, "high": 0.5, "step": 0.25, "when": {"optimizer": "sgd"}},
}
FIRST = {"layers": 3, "units": 15, "optimizer": "adam", "learning_rate": 0.001}


def study(sampler: str, trials: int, **search: Any) -> Study:
    space = GRID if sampler == "grid" else SPACE
    enqueue = [{"units": 4, "optimizer": "adam"}] if sampler == "grid" else [FIRST]
    document = {
        "task": {"name": "first-value"},
        "search": {"sampler": sampler, "trials": trials, "seed": 3, "enqueue": enqueue} | search,
        "space": space,
        "training": {},
    }
    return Study.from_document(document, "tried")


def measured(params: dict[str, Any], objectives: int = 1) -> tuple[float, ...]:
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).digest()
    return tuple(digest[i] + digest[i + 1] / 256 for i in range(objectives))


def tried(
    asked_for: Study,
    known: list[StoredTrial] | None = None,
    measure: Callable[[dict[str, Any]], float] | None = None,
    lift: Callable[[float], float] = float,
) -> list[StoredTrial]:
    """All trials of a study, told late and in the wrong order, as a storage would keep them."""
    known = known or []
    kept: dict[int, StoredTrial] = {}
    with quiet():
        proposals = Proposals(asked_for, known)
        waiting: list[tuple[int, tuple[float, ...]]] = []
        while proposals.left():
            if not proposals.ready():
                number, values = waiting.pop()
                proposals.tell(number, values)
                continue
            for asked in proposals.ask():
                values = measured(asked.params, len(asked_for.search.objectives))
                values = (measure(asked.params),) if measure else tuple(map(lift, values))
                distributions, system_attrs, started = proposals.memory(asked.number)
                waiting.append((asked.number, values))
                kept[asked.number] = StoredTrial(
                    number=asked.number,
                    params=asked.params,
                    distributions=distributions,
                    values=values,
                    user_attrs={},
                    system_attrs=json.loads(json.dumps(system_attrs)),
                    intermediate={},
                    run_keys=(),
                    started=started,
                    finished=started,
                )
    return [kept[number] for number in sorted(kept)]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes", "nsgaii", "grid"])
def test_a_study_continued_from_anywhere_tries_the_very_same_trials(sampler: str) -> None:
    trials = 8 if sampler == "grid" else 65 if sampler == "nsgaii" else 35
    whole = tried(study(sampler, trials))
    for done in (1, GENERATION - 1, GENERATION, GENERATION + 3, 2 * GENERATION + 1, 34, 60):
        assert tried(study(sampler, trials), whole[:done]) == whole


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes", "nsgaii"])
def test_a_study_extended_equals_one_that_asked_for_more_at_once(sampler: str) -> None:
    short = tried(study(sampler, 12))
    assert tried(study(sampler, 25), short) == tried(study(sampler, 25))


def test_another_seed_tries_other_trials() -> None:
    one, other = tried(study("tpe", 12)), tried(study("tpe", 12, seed=4))
    assert one[0].params == other[0].params == FIRST
    assert all(a.params != b.params for a, b in zip(one[1:], other[1:], strict=True))


def test_a_generation_knows_the_values_up_to_the_one_before_the_last() -> None:
    one, other = tried(study("tpe", 35)), tried(study("tpe", 35), lift=lambda value: -value)
    same = [a.params == b.params for a, b in zip(one, other, strict=True)]
    assert all(same[: 2 * GENERATION])
    assert not any(same[2 * GENERATION :])


def test_a_setting_is_tried_only_where_its_condition_holds() -> None:
    trials = tried(study("tpe", 40))
    assert {trial.params["optimizer"] for trial in trials} == {"adam", "sgd", "rmsprop"}
    assert all(("momentum" in t.params) == (t.params["optimizer"] == "sgd") for t in trials)


def test_cmaes_moves_where_the_values_are_low() -> None:
    space = {key: SPACE[key] for key in ("units", "learning_rate")}
    asked_for = study("cmaes", 80, enqueue=[]).changed(
        {"training.layers": 1, "training.optimizer": "adam"}
    )
    assert set(asked_for.space) == set(space)
    trials = tried(asked_for, measure=lambda params: params["units"])
    first = sum(trial.params["units"] for trial in trials[:20])
    assert sum(trial.params["units"] for trial in trials[-20:]) < 0.8 * first
    again = tried(asked_for, trials[:47], measure=lambda params: params["units"])
    assert [trial.params for trial in again] == [trial.params for trial in trials]


def test_a_pareto_front_is_searched_with_a_value_for_each_objective() -> None:
    front = tried(study("nsgaii", 30, objective=["epochs", "flops"]))
    assert {len(trial.values) for trial in front} == {2}
    assert tried(study("nsgaii", 30, objective=["epochs", "flops"]), front[:13]) == front


def test_a_grid_is_tried_point_by_point_each_once_after_what_was_enqueued_and_then_ends() -> None:
    asked_for = study("grid", 100)
    trials = tried(asked_for)
    points = [
        {"units": units} | rest
        for units in (4, 8)
        for rest in (
            {"optimizer": "adam"},
            {"optimizer": "sgd", "momentum": 0.0},
            {"optimizer": "sgd", "momentum": 0.25},
            {"optimizer": "sgd", "momentum": 0.5},
        )
    ]
    assert [trial.params for trial in trials] == points
    sgd = {"units": 8, "optimizer": "sgd", "momentum": 0.25}
    given = study("grid", 100, enqueue=[sgd])
    rest = [point for point in points if point != sgd]
    assert [trial.params for trial in tried(given)] == [sgd, *rest]


def test_quasi_random_points_never_repeat() -> None:
    trials = tried(study("qmc", 40))
    assert len({trial.params["learning_rate"] for trial in trials}) == 40


def test_an_enqueued_configuration_is_marked_as_optuna_marks_it() -> None:
    first, second, *_ = tried(study("tpe", 3))
    assert first.system_attrs["fixed_params"] == FIRST
    assert "fixed_params" not in second.system_attrs


def test_gp_without_pytorch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"uv sync --extra gp"):
        Proposals(study("gp", 5))
