"""Ranges, choices, conditions and grids."""

import itertools
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.run import Configuration
from studies.space import (
    Choice,
    Range,
    applies,
    contains,
    grid,
    ordered,
    parse_space,
    space_problems,
)


def parsed(table):
    problems: list[str] = []
    space = parse_space(table, problems, {"epochs": "training", "trials": "search"})
    assert not problems
    return space


def refused(table) -> str:
    problems: list[str] = []
    parse_space(table, problems, {"epochs": "training", "trials": "search"})
    assert problems
    return "\n".join(problems)


def test_a_list_is_a_choice_and_a_table_of_bounds_a_range():
    assert parsed({"optimizer": ["adam", "sgd"], "units": {"low": 4, "high": 32, "log": True}}) == {
        "optimizer": Choice(("adam", "sgd")),
        "units": Range(4, 32, log=True),
    }


def test_numbers_take_the_kind_of_their_setting():
    space = parsed({"momentum": {"low": 0, "high": 0.5}, "learning_rate": [1, 0.1]})
    assert type(space["momentum"].low) is float
    assert [type(choice) for choice in space["learning_rate"].choices] == [float, float]


def test_a_condition_has_one_value_or_several():
    space = parsed(
        {
            "optimizer": ["adam", "sgd", "rmsprop"],
            "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
            "rho": {"choices": [0.8, 0.9], "when": {"optimizer": ["rmsprop"]}},
        }
    )
    assert space["momentum"].when == {"optimizer": ("sgd",)}
    assert space["rho"] == Choice((0.8, 0.9), {"optimizer": ("rmsprop",)})
    assert applies(space["momentum"], {"optimizer": "sgd"})
    assert not applies(space["momentum"], {"optimizer": "adam"})
    assert not applies(space["momentum"], {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("units = 8", "space.units = 8: must be a range"),
        ("units = {}", "space.units.low is missing"),
        ("units = { low = 1 }", "space.units.high is missing"),
        (
            "units = { low = 1, hihg = 3 }",
            "space.units.hihg: there is no such key; did you mean high",
        ),
        ("units = { low = 8, high = 4 }", "low (8) must be below high (4)"),
        ("units = { low = 8, high = 8 }", "low (8) must be below high (8)"),
        (
            "units = { low = 0, high = 8 }",
            "space.units.low = 0: must be a whole number from 1 to 4,096",
        ),
        ("units = { low = 1, high = 9999 }", "space.units.high = 9999: must be"),
        ("units = { low = 1.5, high = 8 }", "space.units.low = 1.5: must be a whole number"),
        ("units = { low = true, high = 8 }", "space.units.low = true: must be a whole number"),
        ("units = { low = '1', high = 8 }", 'space.units.low = "1": must be a whole number'),
        ("units = { low = 1, high = 8, log = 1 }", "space.units.log = 1: must be true or false"),
        ("units = { low = 1, high = 8, step = 0 }", "space.units.step = 0: must be a whole number"),
        ("units = { low = 1, high = 9, step = 1.5 }", "space.units.step = 1.5: must be a whole"),
        (
            "units = { low = 1, high = 8, step = 3 }",
            "do not lead to high = 8; the last one below is 7",
        ),
        ("units = { low = 1, high = 8, step = 9 }", "the first one is beyond it"),
        ("units = { low = 1, high = 9, step = 2, log = true }", "log and step exclude"),
        ("momentum = { low = 0.0, high = 0.5, log = true }", "above 0 on a logarithmic scale"),
        ("momentum = { low = 0.0, high = 1.0 }", "at least 0 and below 1"),
        ("momentum = { low = 0.0, high = nan }", "space.momentum.high = nan"),
        ("momentum = { low = 0.0, high = 0.5, step = inf }", "space.momentum.step = inf"),
        ("momentum = { low = 0.0, high = 0.5, step = 5e-324 }", "take longer ones"),
        ("optimizer = { low = 1, high = 2 }", "optimizer is no number; give it a list of choices"),
        ("nesterov = { low = false, high = true }", "each true or false"),
        ("optimizer = []", "at least one choice"),
        ("optimizer = ['adam', 'sdg']", 'the choice "sdg" must be one of "adam", "sgd"'),
        ("learning_rate = [1, 1.0]", "the choice 1.0 is there twice"),
        ("optimizer = { choices = 'adam' }", "space.optimizer.choices"),
        (
            "optimizer = { choices = ['adam'], low = 1 }",
            "space.optimizer.low: there is no such key",
        ),
        ("lr = [0.1]", "space.lr: there is no such key; did you mean learning_rate?"),
        ("epochs = [1, 2]", "epochs is not searched; fix it in [training]"),
        ("trials = [1, 2]", "trials belongs in [search]"),
        ("momentum = { choices = [0.1], when = 'sgd' }", "space.momentum.when"),
        (
            "momentum = { choices = [0.1], when = { optimizer = 'sgd' } }",
            "another searched key; no other is",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(text, words):
    assert words in refused(tomllib.loads(text))


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("{ optimzer = 'sgd' }", "another searched key; searched are optimizer"),
        ("{ momentum = 0.1 }", "another searched key"),
        (
            "{ optimizer = 'nadam' }",
            'when.optimizer = "nadam": must be a value that space.optimizer has',
        ),
        ("{ optimizer = [] }", "must be a value of optimizer"),
        ("{ rho = 0.1 }", "needs single values; rho is a range"),
        ("{ beta_1 = 0.1 }", "run in a circle"),
    ],
)
def test_a_condition_that_cannot_be_judged_is_refused(condition, words):
    others = """
        optimizer = ["adam", "sgd"]
        rho = { low = 0.1, high = 0.2 }
        beta_1 = { choices = [0.1], when = { momentum = 0.1 } }
    """
    text = f"{others}\nmomentum = {{ choices = [0.1], when = {condition} }}"
    assert words in refused(tomllib.loads(text))


def test_units_cannot_have_a_condition_since_they_have_no_default():
    text = "optimizer = ['adam']\nunits = { low = 1, high = 2, when = { optimizer = 'adam' } }"
    assert "units has no default" in refused(tomllib.loads(text))


def test_a_space_is_a_table():
    assert refused([1]) == "space = [1]: must be a table of ranges and choices"


def test_every_error_of_a_space_has_its_line():
    lines = refused({"units": {"low": 9, "high": 4}, "layers": [0, "x"], "lr": [1]}).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "space.units",
        "space.layers",
        "space.layers",
        "space.lr",
    ]


def test_a_space_made_in_python_is_checked_by_the_same_rules():
    assert space_problems({"units": Range(1, 8)}) == []
    assert space_problems({"units": Range(8, 1), "unit": Choice((1,))})


def test_parents_come_first_and_the_order_is_kept_otherwise():
    space = {
        "momentum": Choice((0.0, 0.9), {"optimizer": ("sgd",), "nesterov": (True,)}),
        "layers": Range(1, 2),
        "nesterov": Choice((False, True), {"optimizer": ("sgd",)}),
        "optimizer": Choice(("adam", "sgd")),
    }
    assert list(ordered(space)) == ["layers", "optimizer", "nesterov", "momentum"]


def test_a_grid_has_every_point_once():
    space = {
        "layers": Range(1, 3),
        "units": Range(4, 12, step=4),
        "momentum": Range(0.1, 0.3, step=0.1),
    }
    points = list(grid(space))
    assert points == [
        {"layers": layers, "units": units, "momentum": momentum}
        for layers, units, momentum in itertools.product((1, 2, 3), (4, 8, 12), (0.1, 0.2, 0.3))
    ]


def test_a_grid_leaves_out_what_does_not_apply():
    space = {
        "momentum": Choice((0.0, 0.9), {"optimizer": ("sgd",)}),
        "nesterov": Choice((False, True), {"momentum": (0.9,)}),
        "optimizer": Choice(("adam", "sgd")),
    }
    assert list(grid(space)) == [
        {"optimizer": "adam"},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    ]


def test_a_grid_of_a_range_without_step_is_refused():
    with pytest.raises(BadInput, match=r"space.rho: .* a step, or a list of choices"):
        grid({"units": Range(1, 2), "rho": Range(0.1, 0.2)})


def test_a_grid_is_made_as_it_is_asked_for():
    space = {"units": Range(1, 4096), "batch_size": Range(1, 1_000_000), "layers": Range(1, 64)}
    assert next(grid(space)) == {"units": 1, "batch_size": 1, "layers": 1}


@st.composite
def spaces(draw):
    space = {}
    for key in draw(st.lists(st.sampled_from(["layers", "units", "batch_size"]), unique=True)):
        low = draw(st.integers(1, 5))
        step = draw(st.integers(1, 3))
        space[key] = Range(low, low + step * draw(st.integers(1, 3)), step=step)
    for key, choices in (
        ("optimizer", ("adam", "sgd", "nadam")),
        ("cell", ("lstm", "gru")),
        ("momentum", (0.0, 0.5, 0.9)),
    ):
        some = draw(st.lists(st.sampled_from(choices), unique=True))
        if some:
            parents = [k for k, d in space.items() if isinstance(d, Choice)]
            when = {
                parent: tuple(draw(st.lists(st.sampled_from(space[parent].choices), min_size=1)))
                for parent in draw(st.lists(st.sampled_from(parents or ["-"]), unique=True))
                if parent != "-"
            }
            space[key] = Choice(tuple(some), when)
    return dict(draw(st.permutations(list(space.items()))))


@given(space=spaces())
def test_the_points_of_a_grid_are_different_configurations_within_the_space(space):
    assert space_problems(space) == []
    points = list(grid(space))
    assert points
    assert len({tuple(sorted(point.items(), key=str)) for point in points}) == len(points)
    for point in points:
        Configuration.model_validate({"units": 1, **point})
        for key, dimension in space.items():
            assert (key in point) == applies(dimension, point)
            if key in point:
                assert contains(dimension, point[key])
