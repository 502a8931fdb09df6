"""TOML read with errors for people, and written.

Python reads TOML but does not write it, and its errors know neither the file nor plain words.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from studies.errors import BadInput
from studies.files import first_bytes

LARGEST = 1_000_000
"""Bytes of the largest file that is taken for TOML; a study file has a thousandth of it."""


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The table in a TOML file of UTF-8 text.

    Raises BadInput, naming the file and where there is one the line and column, for a file that is
    missing, unreadable, no file, too large, not UTF-8 or not TOML.
    """
    content = first_bytes(path, LARGEST + 1)
    if len(content) > LARGEST:
        raise BadInput(f"{path}: larger than {LARGEST:,} bytes, which no TOML file here is")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput(f"{path}: this is UTF-16 text; TOML is UTF-8: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; "
            "TOML is UTF-8: save it as UTF-8"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}, {_place(str(error), text)}") from None
    except RecursionError:
        raise BadInput(f"{path}: lists or tables lie too deep in one another") from None
    except ValueError as error:
        raise BadInput(f"{path}: a value cannot be read: {error}") from None


def parse_value(text: str) -> Any:
    """What a value means as an option of the command line: TOML where it is TOML, else the text.

    `16` is a number, `true` a truth value, `[1, 2]` a list, `"16"` and `adam` are texts; so is what
    TOML takes for a date.
    """
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    plain = isinstance(value.get("value"), str | bool | int | float | list | dict)
    return value["value"] if plain and len(value) == 1 else text


def write_toml(document: Mapping[str, Any]) -> str:
    """A document of two levels as TOML: its plain values first, then each table.

    A value that is None is left out, since TOML has no word for it.
    """
    plain = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    parts = [_lines(plain)] if plain else []
    for key, value in document.items():
        if isinstance(value, Mapping):
            parts.append(f"[{_key(key)}]\n{_lines(value)}")
    return "\n".join(parts)


def write_value(value: Any) -> str:
    """A value as TOML writes it in one line: text, truth values, numbers, lists, tables."""
    if isinstance(value, str):
        return '"' + "".join(_escaped(sign) for sign in value) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = [f"{_key(str(k))} = {write_value(v)}" for k, v in value.items() if v is not None]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(write_value(item) for item in value) + "]"
    return str(value)


def _place(message: str, text: str) -> str:
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.S)
    if found is None:
        return f"line 1, column 1: {message}"
    if found[2]:
        return f"line {found[2]}, column {found[3]}: {found[1]}"
    lines = text.rstrip("\n").split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}: {found[1]} (the file ends here)"


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(
        f"{_key(key)} = {write_value(value)}\n" for key, value in table.items() if value is not None
    )


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else write_value(key)


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    short = json.dumps(sign)[1:-1]
    if len(short) == 2:
        return short
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
