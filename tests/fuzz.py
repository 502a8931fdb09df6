"""Ten thousand odd inputs of each kind: study files, CSV files, requests to the server.

    python tests/fuzz.py --inputs 10000
    python tests/fuzz.py --only csv --seed 3

Whatever comes in is taken or is refused in words (BadInput; a status below 500); any other
exception, a traceback, an answer that is no JSON where it should be, or an input that takes longer
than ten seconds is a failure, which hypothesis makes small and shows. Status 1 if there was one.

What is taken is used: a study says the same after the storage has kept it, and its search proposes
configurations; the lines that a script has for a CSV file read the same data; the server has two
studies with results to be asked for. Half of the study files differ from a shipped one in values of
the right kind only, so that most get past the first checks.
"""

import argparse
import asyncio
import json
import logging
import re
import string
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from storage.database import open_database
from studies.csv_task import read_csv_task
from studies.errors import BadInput
from studies.study import CsvTask, Study, read_study, shipped_studies
from sweep.bench.simulated import train as made_up_runs
from sweep.keras.script import data_lines
from sweep.sampling import Proposals, quiet
from sweep.search import run_study
from sweep.service.app import service
from sweep.service.limits import MIB, Limits

set_hypothesis_home_dir(Path(__file__).parents[1] / ".pytest_cache" / "hypothesis")

SECONDS = 10.0
"""The longest that one input may take."""

LIMITS = Limits(upload=200_000, epochs=100_000, memory=64 * MIB)
KEYS = [
    "name records seed csv label timesteps header delimiter sampler trials objective enqueue low",
    "high log step when cell layers units optimizer learning_rate epochs batch_size replicates",
    "target task search space training description momentum model function npz embed validation x",
]
WORDS = [word for line in KEYS for word in line.split()]
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 3, 10**6, 10**12, 2**63, 10**40, 0.0, -0.0, 0.5, 1e308, 1e-9]
)
SCALARS = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [*WORDS, "first-value", "lstm", "adam", "tpe", "grid", "\0", "../../x", "é" * 300]
    )
)
NAMES = st.sampled_from(WORDS) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TEXTS = [
    files("studies").joinpath("shipped", f"{name}.toml").read_text(encoding="utf-8")
    for name, _ in shipped_studies()
]
DOCUMENTS = [tomllib.loads(text) for text in TEXTS]


class Failure(AssertionError):
    """Something that must not happen."""


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """A shipped study with some of its values replaced, taken out or put elsewhere."""
    document = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(0, 4))):
        table = document
        while inner := [v for v in table.values() if isinstance(v, dict)]:
            if draw(st.booleans()):
                break
            table = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(sorted(table)) | NAMES) if table else draw(NAMES)
        if draw(st.booleans()):
            table[key] = draw(VALUES)
        else:
            table.pop(key, None)
    return document


def leaves(inside: Any, way: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """The values in a document that hold no others, each with the keys that lead to it."""
    if isinstance(inside, dict | list):
        keys = inside if isinstance(inside, dict) else range(len(inside))
        return [leaf for key in keys for leaf in leaves(inside[key], (*way, key))]
    return [(way, inside)]


ALL_TEXTS = sorted({v for d in DOCUMENTS for _, v in leaves(d) if isinstance(v, str)} | {*WORDS})


def near(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same kind, and mostly not far from it."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, str):
        return st.sampled_from(ALL_TEXTS)
    if isinstance(value, int):
        return st.sampled_from([value + 1, 2 * value, value // 2]) | st.integers(0, 100)
    return st.sampled_from([2 * value, value / 2, -value, 1 - value]) | st.floats(0.0, 1.0)


@st.composite
def nearby(draw: st.DrawFn) -> dict[str, Any]:
    """A shipped study with some of its values replaced by others of their kind."""
    document = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(0, 4))):
        (*way, key), value = draw(st.sampled_from(leaves(document)))
        table = document
        for step in way:
            table = table[step]
        table[key] = draw(near(value))
    return document


@st.composite
def damaged(draw: st.DrawFn, texts: list[str]) -> bytes:
    """A text with pieces cut out, doubled, or replaced by others, perhaps no text any more."""
    raw = draw(st.sampled_from(texts)).encode()
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 20)))
        piece = draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b'"', b"\n", b",", b"=", b"[", b"]]", b"{", b"\0", b"1e999", b"nan", b"'''"]
            )
            | st.just(raw[start:end] * 3)
        )
        raw = raw[:start] + piece + raw[end:]
    return raw


SIGNS = st.sampled_from([*string.printable, "é", "\ufeff", "\0", "½", "٣", "−", "\u2028"])
CELLS = (
    st.sampled_from(
        ["", "0", "1", "-1", "2.5", "1e3", "1e999", "nan", "inf", '"', '"a', 'a"b"', " 1 "]
    )
    | st.integers(-5, 5).map(str)
    | st.text(SIGNS, max_size=6)
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A CSV as a person might have it: mostly rows of numbers, now and then something else."""
    columns, sign = draw(st.integers(1, 6)), draw(st.sampled_from([",", ";", "\t", "|"]))
    plain = st.integers(0, 9).map(str)
    odd = draw(st.integers(0, 2)) == 0
    rows = draw(
        st.lists(st.lists(CELLS if odd else plain, min_size=columns, max_size=columns), max_size=12)
    )
    if draw(st.booleans()):
        rows.insert(0, draw(st.lists(CELLS, min_size=columns, max_size=columns)))
    for row in rows:
        if draw(st.integers(0, 15)) == 0:
            row.append(draw(CELLS))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(sign.join(row) for row in rows)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), "surrogatepass")


NUMERALS = st.one_of(
    st.integers(-99, 99).map(str),
    st.floats(-1e6, 1e6, width=32).map(repr),
    st.sampled_from(["+1", " 2", "3 ", "1e3", "-0", ".5", "7.", "1E-2", '"4"']),
)


@st.composite
def plausible(draw: st.DrawFn) -> bytes:
    """A CSV that mostly can be learned: numbers in columns, and one of a few classes at the end."""
    columns, sign = draw(st.integers(1, 6)), draw(st.sampled_from([",", ";", "\t"]))
    cell = draw(st.sampled_from([NUMERALS, st.integers(0, 9).map(str)]))
    kinds = st.text("abxyzé .-_#'", max_size=4) | st.integers(-3, 12).map(str)
    classes = draw(st.lists(kinds, min_size=2, max_size=3, unique=True))
    count = draw(st.integers(len(classes), 12))
    rows = [
        [*(draw(cell) for _ in range(columns)), classes[k % len(classes)]] for k in range(count)
    ]
    if draw(st.booleans()):
        names = st.text("abcdefgh ,;é", min_size=1, max_size=5)
        heads = draw(st.lists(names, min_size=columns, max_size=columns, unique=True))
        rows.insert(0, [f'"{name}"' for name in [*heads, "target"]])
    text = draw(st.sampled_from(["\n", "\r\n"])).join(sign.join(row) for row in rows)
    return (text + draw(st.sampled_from(["", "\n"]))).encode(
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    )


def study_files(directory: Path, counts: Counter[str]) -> tuple[Any, Callable[[bytes], None]]:
    path = directory / "fuzz.toml"

    def toml(document: dict[str, Any]) -> bytes:
        def value(of: Any) -> str:
            if isinstance(of, dict):
                return "{" + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in of.items()) + "}"
            if isinstance(of, list):
                return "[" + ", ".join(value(item) for item in of) + "]"
            if isinstance(of, float):
                return repr(of)
            return '"none"' if of is None else json.dumps(of)

        lines = [f"{json.dumps(key)} = {value(of)}" for key, of in document.items()]
        return "\n".join(lines).encode(errors="replace")

    def take(raw: bytes) -> None:
        path.write_bytes(raw)
        try:
            study = read_study(str(path))
        except BadInput as refused:
            counts["refused"] += bool(str(refused))
            return
        kept = Study.from_document(json.loads(json.dumps(study.document())), study.name)
        if kept != study:
            raise Failure("the study is another one after it was kept")
        try:
            with quiet():
                proposed = Proposals(study).ask()
        except BadInput as refused:
            counts["taken, without its sampler"] += bool(str(refused))
            return
        for trial in proposed:
            study.configuration(trial.params)
        counts["taken"] += bool(proposed)

    # Each is a strategy of its own: hypothesis takes one that is repeated for one.
    near_ones = [nearby().map(toml) for _ in range(3)]
    odd = [st.binary(max_size=200), damaged(TEXTS), changed().map(toml)]
    return st.one_of(*odd, *near_ones), take


def csv_files(directory: Path, counts: Counter[str]) -> tuple[Any, Callable[[Any], None]]:
    path = directory / "fuzz.csv"
    texts = ["a,b,c,target\n" + "".join(f"{n % 2},5,{n},{n % 2}\n" for n in range(12))]
    kinds = [st.binary(max_size=200), damaged(texts), tables()]
    how = st.just({}) | st.fixed_dictionaries(
        {},
        optional={
            "label": st.sampled_from(["target", "1", "0", "a", "", "999"]),
            "timesteps": st.integers(-1, 7),
            "header": st.sampled_from(["auto", True, False]),
            "delimiter": st.sampled_from(["auto", ",", ";", "\t", "ab", ""]),
            "group": st.sampled_from(["a", "target", ""]),
        },
    )

    def take(asked: tuple[bytes, dict[str, Any]]) -> None:
        path.write_bytes(asked[0])
        try:
            task, reading = read_csv_task(path, **asked[1])
        except BadInput as refused:
            counts["refused"] += bool(str(refused))
            return
        lines = data_lines(CsvTask(csv=str(path), **asked[1]), task, reading)
        if lines is not None:
            names: dict[str, Any] = {"np": np, "pd": pd}
            exec(lines, names)
            if not (np.array_equal(names["x"], task.x) and np.array_equal(names["y"], task.y)):
                raise Failure(f"a script reads other data:\n{lines}")
        counts["taken" if lines else "taken, and written out for a script"] += bool(task.records)

    odd = st.tuples(st.one_of(kinds), how)
    plain = st.tuples(plausible(), st.just({}) | how)
    return st.booleans().flatmap(lambda odd_one: odd if odd_one else plain), take


FINISHED = Study.from_document(
    {
        "task": {"name": "first-value", "records": 40},
        "search": {"trials": 6, "sampler": "random"},
        "space": {"units": {"low": 4, "high": 40}, "optimizer": ["adam", "sgd"]},
        "training": {"epochs": 30, "replicates": 2, "learning_rate": 0.01},
    },
    "a",
)


def requests(directory: Path, counts: Counter[str]) -> tuple[Any, Callable[[Any], None]]:
    url = f"sqlite:///{directory}/fuzz.db"
    for name in ("a", "b"):
        run_study(FINISHED, url, name=name, train=made_up_runs)
    db = open_database(url)
    application = service(db, hosts=frozenset({"test"}), limits=LIMITS)
    described = asyncio.run(_described(application))
    paths = [*described["paths"], "/", "/parts", "/submit", "/cancel", "/login", "/reports/{name}/"]
    fields = list(described["paths"]["/v1/studies"]["post"]["requestBody"]["content"].values())
    names = list(fields[0]["schema"]["properties"])
    shipped = st.sampled_from([name for name, _ in shipped_studies()])
    submission = st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b"]) | st.text(max_size=8)},
        optional={
            "shipped": shipped | SCALARS,
            "study": nearby()
            | changed()
            | damaged(TEXTS).map(lambda raw: raw.decode("latin-1"))
            | VALUES,
            "csv": tables().map(lambda raw: raw.decode("latin-1")) | SCALARS,
        },
    )
    bodies = (
        submission.map(lambda body: json.dumps(body).encode())
        | st.dictionaries(st.sampled_from(names), VALUES).map(
            lambda body: json.dumps(body).encode()
        )
        | VALUES.map(lambda body: json.dumps(body).encode())
        | st.binary(max_size=100)
    )
    parts = (
        st.sampled_from(["a", "b"])
        | st.sampled_from(["%00", "%2F", "..", "%FF", "é", "x" * 300])
        | st.text(max_size=6)
    )
    questions = sorted(
        {
            parameter["name"]
            for path in described["paths"].values()
            for asked in path.values()
            for parameter in asked.get("parameters", [])
            if parameter["in"] == "query"
        }
    )
    words = st.sampled_from(["parquet", "json", "a", "0", "-1", "1e9", "true"]) | st.text(
        max_size=4
    )
    query = st.dictionaries(st.sampled_from(questions or ["q"]), words, max_size=2).map(
        lambda asked: "?" + "&".join(f"{k}={_quoted(v)}" for k, v in asked.items()) if asked else ""
    )
    address = st.tuples(st.sampled_from(paths), parts, query).map(
        lambda three: re.sub(r"\{\w+\}", lambda _: _quoted(three[1]), three[0]) + three[2]
    )
    forms = st.lists(st.tuples(st.sampled_from([*names, "token"]), st.text(max_size=8)), max_size=4)
    asked = st.one_of(
        st.tuples(st.just("POST"), st.just("/v1/studies"), bodies, st.just("application/json")),
        *(
            st.tuples(st.just("GET"), address, st.just(b""), st.just("text/plain"))
            for _ in range(2)
        ),
        st.tuples(
            st.sampled_from(["GET", "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "ODD"]),
            address,
            bodies,
            st.sampled_from(
                ["application/json", "text/plain", "multipart/form-data; boundary=x", ""]
            ),
        ),
        st.tuples(st.just("POST"), address, forms, st.just("form")),
        st.tuples(st.just("POST"), address, forms, st.just("files")),
    )
    loop = asyncio.new_event_loop()
    # What a server would answer with 500 is raised here.
    transport = httpx.ASGITransport(application, raise_app_exceptions=True)
    client = httpx.AsyncClient(transport=transport, base_url="http://test")

    def take(request: tuple[str, str, Any, str]) -> None:
        method, path, body, kind = request
        more: dict[str, Any] = {"content": body, "headers": {"Content-Type": kind}}
        if kind == "form":
            more = {"data": {k: v.encode(errors="replace") for k, v in body}}
        elif kind == "files":
            more = {"files": [(k, ("f", v.encode(errors="replace"))) for k, v in body]}
        answer = loop.run_until_complete(client.request(method, path, **more))
        counts[str(answer.status_code)] += 1
        if answer.status_code >= 500:
            raise Failure(f"{answer.status_code}: {answer.text[:300]}")
        if "Traceback" in answer.text:
            raise Failure("a traceback was sent")
        if path.startswith("/v1/") and 400 <= answer.status_code < 500 and method != "HEAD":
            said = answer.json()
            if not (said.get("error") or said.get("detail")):
                raise Failure(f"{answer.status_code} without a word")

    return asked, take


async def _described(application: Any) -> dict[str, Any]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get("/v1/openapi.json")).json()


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode(errors="replace"), safe="%")


KINDS = {"studies": study_files, "csv": csv_files, "http": requests}


def fuzzed(kind: str, inputs: int, seeded: int) -> bool:
    """Feeds so many inputs of a kind, says what became of them, and whether all was well."""
    with tempfile.TemporaryDirectory(prefix="sweep-fuzz-") as directory:
        counts: Counter[str] = Counter()
        strategy, take = KINDS[kind](Path(directory), counts)
        longest = 0.0

        @settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @seed(seeded)
        @given(strategy)
        def all_of_them(given_: Any) -> None:
            nonlocal longest
            began = time.monotonic()
            take(given_)
            took = time.monotonic() - began
            longest = max(longest, took)
            if took > SECONDS:
                raise Failure(f"{took:.1f} s")

        began, well = time.monotonic(), True
        try:
            all_of_them()
        except Exception:
            well = False
            traceback.print_exc()
        said = ", ".join(f"{number:,} {what}" for what, number in sorted(counts.items()))
        print(
            f"{kind}: {sum(counts.values()):,} inputs in {time.monotonic() - began:.0f} s "
            f"({said}); the longest took {longest:.2f} s",
            flush=True,
        )
        return well


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="of each kind")
    parser.add_argument("--only", choices=list(KINDS), help="default: all kinds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    kinds = [options.only] if options.only else list(KINDS)
    well = [fuzzed(kind, options.inputs, options.seed) for kind in kinds]
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
