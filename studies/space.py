"""What a study searches: ranges and choices for the settings of a configuration.

A space is a dictionary from a setting's name to a `Range` or a `Choice`, in the order of the study
file. A dimension with a condition (`when`) exists only where the settings it names have one of the
values that it names.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from pydantic import ValidationError

from studies.errors import BadInput
from studies.own import is_argument, is_value
from studies.problems import allowed, shown, unknown, wrong
from studies.run import Configuration

MOST_STEPS = 1_000_000_000
"""Steps that a range may have; far fewer than the doubles between two numbers."""

When = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included; whole ones where the setting takes those.

    `log` searches on a logarithmic scale. With a `step` only low, low + step, … up to high are
    searched. `when` maps names of other searched settings to the values under which this one
    exists; all of them have to hold.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: When = field(default_factory=dict[str, tuple[Any, ...]])


@dataclass(frozen=True)
class Choice:
    """One of `choices`; `when` as for `Range`."""

    choices: tuple[Any, ...]
    when: When = field(default_factory=dict[str, tuple[Any, ...]])


Dimension = Range | Choice
Space = Mapping[str, Dimension]


def is_setting(key: str, *, own: bool = False) -> bool:
    """Whether a configuration has this setting; one of an own model has any argument."""
    return is_argument(key) if own else key in Configuration.model_fields


def setting(key: str, value: Any, *, own: bool = False) -> Any:
    """A value as a configuration holds it under `key`; raises ValueError saying what is allowed."""
    if own and key != "batch_size":
        if not is_value(value):
            raise ValueError("text, a finite number, true or false")
        return value
    try:
        configuration = Configuration.model_validate({"units": 1, key: value}, strict=True)
    except ValidationError:
        raise ValueError(allowed(Configuration.model_fields[key])) from None
    return getattr(configuration, key)


def parse_space(
    table: object, problems: list[str], elsewhere: Mapping[str, str], *, own: bool = False
) -> dict[str, Any]:
    """The [space] table of a study file as dimensions by name, in its order.

    Appends a line to `problems` for each error and leaves out the dimensions that have one.
    `elsewhere` says of keys that are no setting of a configuration where they belong. With `own`
    they are arguments of an own model's function.
    """
    if not isinstance(table, Mapping):
        problems.append(wrong("space", table, "a table of ranges and choices"))
        return {}
    space: dict[str, Dimension] = {}
    for key, value in cast(Mapping[str, Any], table).items():
        if is_setting(key, own=own):
            before = len(problems)
            dimension = _dimension(key, value, problems, own)
            if dimension is not None and len(problems) == before:
                space[key] = dimension
        elif own:
            problems.append(f"space.{key}: {key} cannot be searched: it is no argument's name")
        elif elsewhere.get(key) == "training":
            problems.append(f"space.{key}: {key} is not searched; fix it in [training]")
        else:
            known = Configuration.model_fields
            problems.append(unknown("space", str(key), known, elsewhere.get(key)))
    # A condition on a dimension that has an error of its own is judged once that one is mended.
    broken = {key for key in table if key not in space}
    problems.extend(_condition_problems(space, broken))
    return space


def space_problems(space: Space, *, own: bool = False) -> list[str]:
    """A line for each error in a space: values out of bounds, conditions that cannot hold."""
    problems: list[str] = []
    for key, dimension in space.items():
        if not is_setting(key, own=own):
            problems.append(unknown("space", key, Configuration.model_fields))
        elif isinstance(dimension, Range):
            problems.extend(_range_problems(key, dimension, own))
        else:
            problems.extend(_choice_problems(key, dimension, own))
    return problems or _condition_problems(space, set())


def contains(dimension: Dimension, value: Any) -> bool:
    """Whether a value, as `setting` gives it, can come from this dimension."""
    if isinstance(dimension, Choice):
        return value in dimension.choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not dimension.low <= value <= dimension.high:
        return False
    if _is_whole(dimension) and not isinstance(value, int):
        return False
    return dimension.step is None or _is_multiple(value - dimension.low, dimension.step)


def applies(dimension: Dimension, point: Mapping[str, Any]) -> bool:
    """Whether the dimension exists at a point, which holds the values of the keys before it."""
    return all(key in point and point[key] in values for key, values in dimension.when.items())


def ordered(space: Space) -> dict[str, Dimension]:
    """The same space with every key after those that its condition names, else in its order.

    Raises BadInput where conditions run in a circle.
    """
    result: dict[str, Dimension] = {}
    while len(result) < len(space):
        ready = [
            key
            for key, dimension in space.items()
            if key not in result and all(parent in result for parent in dimension.when)
        ]
        if not ready:
            circle = ", ".join(key for key in space if key not in result)
            raise BadInput(f"space: the conditions of {circle} run in a circle")
        result[ready[0]] = space[ready[0]]
    return result


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """The points of the grid that a space spans, each once; the last key changes fastest.

    A key whose condition does not hold is left out of a point. A range of whole numbers counts with
    each of them, or by its step. Raises BadInput for a range of other numbers without a step.
    """
    problems = grid_problems(space)
    if problems:
        raise BadInput("\n".join(problems))
    return _points(list(ordered(space).items()), {})


def grid_problems(space: Space) -> list[str]:
    """A line for each dimension that has no grid."""
    return [
        f"space.{key}: a grid needs single values, and this range has none: "
        f"give it a step, or a list of choices such as [{dimension.low}, {dimension.high}]"
        for key, dimension in space.items()
        if isinstance(dimension, Range) and dimension.step is None and not _is_whole(dimension)
    ]


def values(dimension: Dimension) -> tuple[Any, ...] | range:
    """The single values of a choice, of a range of whole numbers or of a range with a step."""
    if isinstance(dimension, Choice):
        return dimension.choices
    low, high, step = dimension.low, dimension.high, dimension.step
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None):
        return range(low, high + 1, step or 1)
    if step is None:
        raise ValueError("a range without a step has no single values")
    # Decimals as they were written: 0.1 + 2 · 0.1 is 0.3 here, not 0.30000000000000004.
    start, stride = Decimal(str(low)), Decimal(str(step))
    return tuple(float(start + n * stride) for n in range(round((high - low) / step) + 1))


def _points(
    dimensions: list[tuple[str, Dimension]], point: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if not dimensions:
        yield point
        return
    (key, dimension), rest = dimensions[0], dimensions[1:]
    if not applies(dimension, point):
        yield from _points(rest, point)
        return
    for value in values(dimension):
        yield from _points(rest, {**point, key: value})


def _dimension(key: str, value: Any, problems: list[str], own: bool) -> Dimension | None:
    dotted = f"space.{key}"
    if isinstance(value, list | tuple):
        value = {"choices": list(cast(list[Any], value))}
    if not isinstance(value, Mapping):
        problems.append(
            wrong(dotted, value, "a range { low = …, high = … } or a list of choices")
            + "; to fix it, write it in [training]"
        )
        return None
    table = dict(cast(Mapping[str, Any], value))
    known = ["choices", "when"] if "choices" in table else ["low", "high", "log", "step", "when"]
    lines = [unknown(dotted, str(name), known) for name in table if name not in known]
    if "choices" not in known:
        lines += [f"{dotted}.{n} is missing" for n in ("low", "high") if n not in table]
    problems.extend(lines)
    when = _when(dotted, table.pop("when", {}), problems)
    if lines or when is None:
        return None
    if "choices" in table:
        if not isinstance(table["choices"], list | tuple):
            problems.append(wrong(f"{dotted}.choices", table["choices"], "a list"))
            return None
        dimension: Dimension = Choice(tuple(table["choices"]), when)
        found = _choice_problems(key, dimension, own)
    else:
        dimension = Range(**table, when=when)
        found = _range_problems(key, dimension, own)
    problems.extend(found)
    return None if found else _canonical(key, dimension, own)


def _when(dotted: str, value: object, problems: list[str]) -> dict[str, tuple[Any, ...]] | None:
    if not isinstance(value, Mapping):
        problems.append(wrong(f"{dotted}.when", value, 'a table such as { optimizer = "sgd" }'))
        return None
    return {
        str(parent): tuple(cast(list[Any], due)) if isinstance(due, list | tuple) else (due,)
        for parent, due in cast(Mapping[str, Any], value).items()
    }


def _canonical(key: str, dimension: Dimension, own: bool) -> Dimension:
    """Every value of the type that the setting has; conditions on unknown keys as they came."""
    when = {
        parent: tuple(_setting_or(parent, value, own) for value in due)
        for parent, due in dimension.when.items()
    }
    if isinstance(dimension, Choice):
        return Choice(tuple(setting(key, value, own=own) for value in dimension.choices), when)
    kind = _kind(key, dimension, own)
    step = None if dimension.step is None else kind(dimension.step)
    return Range(kind(dimension.low), kind(dimension.high), dimension.log, step, when)


def _setting_or(key: str, value: Any, own: bool) -> Any:
    try:
        return setting(key, value, own=own) if is_setting(key, own=own) else value
    except ValueError:
        return value


def _choice_problems(key: str, choice: Choice, own: bool) -> list[str]:
    if not choice.choices:
        return [f"space.{key} = []: must be a list of at least one choice"]
    problems: list[str] = []
    seen: list[Any] = []
    for value in choice.choices:
        try:
            held = setting(key, value, own=own)
        except ValueError as due:
            problems.append(f"space.{key}: the choice {shown(value)} must be {due}")
            continue
        if held in seen:
            problems.append(f"space.{key}: the choice {shown(value)} is there twice")
        seen.append(held)
    return problems


def _range_problems(key: str, range_: Range, own: bool) -> list[str]:
    kind = _kind(key, range_, own)
    dotted = f"space.{key}"
    if kind not in (int, float):
        due = allowed(Configuration.model_fields[key])
        return [f"{dotted}: {key} is no number; give it a list of choices, each {due}"]
    problems: list[str] = []
    for name, value in (("low", range_.low), ("high", range_.high)):
        if isinstance(value, str | bool) and own:
            problems.append(wrong(f"{dotted}.{name}", value, "a number"))
            continue
        try:
            setting(key, value, own=own)
        except ValueError as due:
            problems.append(wrong(f"{dotted}.{name}", value, str(due)))
    if type(range_.log) is not bool:
        problems.append(wrong(f"{dotted}.log", range_.log, "true or false"))
    if range_.step is not None and not _is_step(range_.step, whole=kind is int):
        due = ("a whole number" if kind is int else "a number") + " above 0"
        problems.append(wrong(f"{dotted}.step", range_.step, due))
    if problems:
        return problems
    if range_.low >= range_.high:
        return [f"{dotted}: low ({range_.low}) must be below high ({range_.high})"]
    if range_.log and range_.step is not None:
        return [f"{dotted}: log and step exclude each other; leave one out"]
    if range_.log and range_.low <= 0:
        return [wrong(f"{dotted}.low", range_.low, "above 0 on a logarithmic scale")]
    if range_.step is not None and (range_.high - range_.low) / range_.step > MOST_STEPS:
        return [f"{dotted}: steps of {range_.step} are more than {MOST_STEPS:,}; take longer ones"]
    if range_.step is not None and not _is_multiple(range_.high - range_.low, range_.step):
        steps = math.floor((range_.high - range_.low) / range_.step)
        last = Decimal(str(range_.low)) + steps * Decimal(str(range_.step))
        below = f"the last one below is {last}" if steps else "the first one is beyond it"
        return [f"{dotted}: steps of {range_.step} do not lead to high = {range_.high}; {below}"]
    return []


def _condition_problems(space: Space, broken: set[Any]) -> list[str]:
    problems: list[str] = []
    for key, dimension in space.items():
        if key == "units" and dimension.when:
            problems.append("space.units.when: units has no default, so it needs a value always")
        for parent, due in dimension.when.items():
            dotted = f"space.{key}.when.{parent}"
            if parent in broken:
                continue
            if parent == key or parent not in space:
                others = [name for name in space if name != key]
                searched = f"searched are {', '.join(others)}" if others else "no other is"
                problems.append(f"{dotted}: a condition names another searched key; {searched}")
                continue
            if isinstance(parent_ := space[parent], Range) and not _is_whole(parent_):
                problems.append(f"{dotted}: a condition needs single values; {parent} is a range")
                continue
            if not due:
                problems.append(f"{dotted} = []: must be a value of {parent} or a list of them")
            for value in due:
                if not contains(space[parent], value):
                    problems.append(wrong(dotted, value, f"a value that space.{parent} has"))
    if not problems and not any(set(d.when) & broken for d in space.values()):
        try:
            ordered(space)
        except BadInput as error:
            problems.append(str(error))
    return problems


def _kind(key: str, dimension: Dimension, own: bool) -> Any:
    """The type of a searched setting; of an own model's argument that of the range's ends."""
    if key in Configuration.model_fields and not (own and key != "batch_size"):
        return Configuration.model_fields[key].annotation
    return int if isinstance(dimension, Range) and _is_whole(dimension) else float


def _is_whole(range_: Range) -> bool:
    """Whether the values of a range are whole numbers."""
    return isinstance(range_.low, int) and isinstance(range_.high, int)


def _is_step(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return 0 < cast(float, value) < math.inf


def _is_multiple(length: float, step: float) -> bool:
    return math.isclose(length / step, round(length / step), rel_tol=1e-9, abs_tol=1e-9)
