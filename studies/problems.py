"""What is wrong with a table of settings, in lines that a person can act on.

A line names the dotted key, the value that came and what is allowed; an unknown key comes with the
nearest known one. Whoever checks a table collects the lines of all its errors.
"""

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from studies.toml import write_value

Model = TypeVar("Model", bound=BaseModel)


def wrong(key: str, value: Any, due: str) -> str:
    """The line for a value that is not allowed: `search.trials = 0: must be …`."""
    return f"{key} = {shown(value)}: must be {due}"


def unknown(table: str, key: str, known: Iterable[str], elsewhere: str | None = None) -> str:
    """The line for a key that `table` (dotted, "" for the top) does not have.

    `elsewhere` is the table in which the key belongs, where there is one.
    """
    known = list(known)
    dotted = f"{table}.{key}" if table else key
    if elsewhere is not None:
        return f"{dotted}: {key} belongs in [{elsewhere}]"
    near = nearest(key, known)
    if near:
        return f"{dotted}: there is no such key; did you mean {near}?"
    return f"{dotted}: there is no such key; known are {', '.join(known)}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for, or None where none is near.

    Initials count as near: lr stands for learning_rate.
    """
    known = list(known)
    for name in known:
        if "_" in name and word.lower() == "".join(part[:1] for part in name.lower().split("_")):
            return name
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def shown(value: Any, most: int = 80) -> str:
    """A value as a study file would have it, made fit for the screen by `plain`."""
    try:
        return plain(write_value(value), most)
    except ValueError:  # a whole number of more digits than Python prints
        return "a number of thousands of digits"


def plain(text: str, most: int = 60) -> str:
    """A user's text in one line, without control signs, cut at `most` characters."""
    clean = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def quoted(text: str) -> str:
    """The same in quotation marks."""
    return f'"{plain(text)}"'


def allowed(field: FieldInfo) -> str:
    """What a field takes, in words: its description if it has one, else from type and bounds."""
    if field.description:
        return field.description
    annotation = field.annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(shown(choice) for choice in typing.get_args(annotation))
    if annotation is bool:
        return "true or false"
    if annotation is str:
        return "text"
    return ("a whole number" if annotation is int else "a number") + _bounds(field)


def checked(
    model: type[Model],
    prefix: str,
    table: object,
    problems: list[str],
    elsewhere: Mapping[str, str] | None = None,
) -> Model | None:
    """The table as a `model`, or None after appending a line to `problems` for each error in it.

    `prefix` is the table's dotted name; `elsewhere` says of keys in which other table they belong.
    """
    if not isinstance(table, Mapping):
        problems.append(wrong(prefix, table, "a table"))
        return None
    before = len(problems)
    fields = model.model_fields
    known: dict[str, Any] = {}
    for key, value in typing.cast(Mapping[str, Any], table).items():
        if key in fields:
            known[key] = value
        else:
            other = (elsewhere or {}).get(key)
            problems.append(unknown(prefix, str(key), fields, None if other == prefix else other))
    try:
        result = model.model_validate(known, strict=True)
    except ValidationError as error:
        keys = dict.fromkeys(
            str(entry["loc"][0]) if entry["loc"] else "" for entry in error.errors()
        )
        for key in keys:
            if not key:
                said = error.errors()[0]["msg"].removeprefix("Value error, ")
                problems.append(f"{prefix}: {said}")
            elif key in known:
                problems.append(wrong(f"{prefix}.{key}", known[key], allowed(fields[key])))
            else:
                problems.append(f"{prefix}.{key} is missing: must be {allowed(fields[key])}")
        return None
    return result if len(problems) == before else None


def _bounds(field: FieldInfo) -> str:
    bounds = {
        name: getattr(part, name)
        for part in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(part, name, None) is not None
    }
    if "ge" in bounds and "le" in bounds:
        return f" from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    said = [f"{words[name]} {_number(bounds[name])}" for name in words if name in bounds]
    return " " + " and ".join(said) if said else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or value >= 1000 else f"{value:g}"
