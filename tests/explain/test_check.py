"""The largest effects once more in stock Keras."""

import pytest

from studies.run import Configuration
from studies.study import read_study
from studies.tasks import Task
from sweep.analysis.estimate import Estimate
from sweep.explain import Explanation, explain
from sweep.explain.check import EFFECTS, Repeated, check_in_keras, check_json, largest
from sweep.search import run_study

from .conftest import World

STUDY = """
[task]
name = "first-value"
records = 32

[search]
sampler = "random"
trials = 1
enqueue = [{ units = 6, learning_rate = 0.02 }]

[space]
units = [6]
learning_rate = [0.02]

[training]
cell = "rnn"
epochs = 4
replicates = 1
"""


def by_units(c: Configuration, task: Task) -> float:
    """Many units and a high learning rate help, few units hurt; the data help most of all."""
    return (1.0 if task.records > 32 else 2.0) * 6 / c.units * (0.02 / c.learning_rate) ** 0.5


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    tmp_path = tmp_path_factory.mktemp("check")
    (tmp_path / "s.toml").write_text(STUDY)
    url, world = f"sqlite:///{tmp_path / 'e.db'}", World(by_units)
    study = read_study(tmp_path / "s.toml")
    run_study(study, url, train=lambda runs, task: world(filter(None, runs), task, False))
    return explain(url, "s", seeds=12, train=world)


def test_the_largest_effects_are_of_different_kinds_and_of_the_model(found):
    chosen = largest(found.effects)
    assert 1 <= len(chosen) <= EFFECTS
    groups = [one.intervention.group for one in chosen]
    assert len(set(groups)) == len(groups)
    assert not {"inputs", "records"} & set(groups)
    assert all(one.finding in ("shortens", "lengthens") for one in chosen)


def test_they_are_trained_by_keras_itself(found):
    told = []
    repeated = check_in_keras(found, lambda *words: told.append(words), seeds=2)
    assert [one.effect for one in repeated] == largest(found.effects)
    assert told[0] == ("the baseline", 0, 2)
    assert len(told) == 2 * (1 + len(repeated))
    for one in repeated:
        assert one.arm.configuration == one.effect.arm.configuration
        assert {run.run.seed for run in one.arm.runs} == {0, 1}
        # Keras draws what it starts from: these are other runs than those of the same seed here.
        assert one.arm.runs[0].curves[0, 0] != pytest.approx(
            one.effect.arm.runs[0].curves[0, 0], rel=1e-6
        )
        document = check_json(one)
        assert document["replicates"] == 2
        assert document["engine_ratio"] == one.effect.ratio.value


@pytest.mark.parametrize(
    ("ours", "theirs", "agrees"),
    [
        ((0.3, 0.4), (0.35, 0.5), True),
        ((0.3, 0.4), (0.41, 0.5), False),
        ((0.3, 0.4), (0.1, 0.2), False),
        ((0.3, 0.4), (None, None), True),
        ((5.0, None), (4.0, 5.5), True),
        ((5.0, None), (4.0, 4.5), False),
    ],
)
def test_what_agrees_has_a_ratio_in_common(found, ours, theirs, agrees):
    from dataclasses import replace

    effect = found.effects[0]
    paired = replace(effect.paired, ratio=Estimate(None, *ours))
    one = Repeated(
        replace(effect, paired=paired), found.baseline, effect.arm, Estimate(None, *theirs)
    )
    assert one.agrees is agrees
