"""What is remembered of a task."""

import math
from dataclasses import replace

import numpy as np
import pytest

from storage.trials import TaskFacts
from studies.tasks import Task, make_task


class TestTaskFacts:
    def test_are_those_of_the_task(self) -> None:
        x = np.zeros((4, 3, 2), dtype=np.float32)
        made = Task("mine", x, np.array([0, 1, 1, 2], dtype=np.int32), ("a", "b", "c"))
        facts = TaskFacts.of(made)
        assert facts == TaskFacts(made.fingerprint, "mine", 4, 3, 2, ("a", "b", "c"), (1, 2, 1))
        assert facts.chance_accuracy == 0.5
        assert facts.chance_loss == pytest.approx(1.5 * math.log(2))

    def test_of_balanced_classes_chance_is_one_in_k(self, task: TaskFacts) -> None:
        balanced = replace(task, classes=tuple("abcd"), class_counts=(50, 50, 50, 50))
        assert balanced.chance_accuracy == 0.25
        assert balanced.chance_loss == pytest.approx(math.log(4))

    @pytest.mark.parametrize("name", ["adding", "embedded-reber"])
    def test_of_other_targets_chance_is_the_task_s(self, name: str) -> None:
        made = make_task(name, {"records": 50})
        facts = TaskFacts.of(made)
        assert facts.target == made.target
        assert facts.class_counts == ()
        assert (facts.chance_accuracy, facts.chance_loss) == made.chance

    def test_of_a_class_without_records_chance_is_certain(self, task: TaskFacts) -> None:
        assert replace(task, class_counts=(200, 0)).chance_accuracy == 1.0
        assert replace(task, class_counts=(200, 0)).chance_loss == 0.0
