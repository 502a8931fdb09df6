"""The HTTP API: what it takes, what it answers, and what it refuses."""

import io
import json
import re
import tracemalloc
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import queue
from storage.database import Database
from storage.failures import Lost, Passing
from storage.queue import entries
from studies.errors import BadInput
from sweep.service.limits import MIB, Limits, check_study
from tests.service.served import ODD_REPORT, SMALL, error_of


def test_a_study_is_submitted_seen_and_cancelled(client: httpx.Client, study: Any) -> None:
    asked = {"name": "sent", "study": study().to_toml(), "priority": 3, "trials": 5}
    answer = client.post("/v1/studies", json=asked)
    assert answer.status_code == 201
    assert (answer.json()["state"], answer.json()["priority"]) == ("waiting", 3)
    more = client.post("/v1/studies", json=asked | {"study": study().document(), "trials": 9})
    assert more.json()["id"] == answer.json()["id"]
    state = client.get("/v1/studies/sent").json()
    assert (state["study"], [entry["state"] for entry in state["queue"]]) == (None, ["waiting"])
    gone = client.post("/v1/studies/sent/cancel").json()
    assert [entry["state"] for entry in gone["queue"]] == ["cancelled"]
    assert "no study named 'sent'" in error_of(client.post("/v1/studies/sent/cancel"), 404)


def test_data_are_uploaded_with_a_study_and_stay_in_the_storage(
    client: httpx.Client, place: Database, csv: bytes
) -> None:
    files = {"csv": ("../../etc/mine.csv", csv)}
    form = {"shipped": "hello-lstm", "name": "uploaded", "trials": "2"}
    answer = client.post("/v1/studies/upload", data=form, files=files)
    assert answer.status_code == 201, answer.text
    entry = entries(place, name="uploaded")[0]
    assert entry.document["task"]["csv"] == "/uploaded/mine.csv"
    assert entry.upload is not None
    assert queue.uploaded(place, entry.upload) == csv
    bad = client.post(
        "/v1/studies",
        json={"shipped": "hello-lstm", "name": "bad", "trials": 2, "csv": "a,b\n1,x\n2\n"},
    )
    assert error_of(bad, 400).startswith("data.csv, line 3")
    queue.cancel(place, "uploaded")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training": {"model": "mine.py:build"}}, "training.model: a study that is sent cannot"),
        ({"task": {"function": "os:system"}}, "task.function: a study that is sent cannot"),
        ({"task": {"csv": "/etc/passwd"}}, "cannot name a file of the server"),
        ({"task": {"npz": "/etc/passwd"}}, "cannot name a file of the server"),
        ({"task": {"parquet": "x"}}, "cannot name a file of the server"),
        ({"task": {"series": "x"}}, "cannot name a file of the server"),
        ({"search": {"trials": 10_000}}, "are 600,000 epochs; at most 20,000 .*--max-epochs"),
        ({"training": {"units": 4000, "layers": 9}, "space": {}}, "MiB; at most 64 .*--max-memory"),
        ({"task": {"name": "latch", "records": 10**7}}, "--max-memory|are more than"),
        ({"task": {"name": "nothing"}}, "task.name"),
    ],
)
def test_what_a_stranger_may_not_ask_is_refused_and_the_limit_named(
    client: httpx.Client, study: Any, changes: dict[str, Any], said: str
) -> None:
    document = study().document() | changes
    answer = client.post("/v1/studies", json={"name": "refused", "study": document})
    assert re.search(said, error_of(answer, 400))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


KEYS = ("name", "records", "csv", "trials", "sampler", "units", "epochs", "low", "model")


TABLES = st.dictionaries(
    st.sampled_from(["task", "search", "space", "training", "description", "x"]),
    st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.fixed_dictionaries({"name": st.just("fuzz"), "study": TABLES | st.text()}) | JSON)
def test_no_document_makes_the_server_fail(client: httpx.Client, asked: Any) -> None:
    answer = client.post("/v1/studies", content=json.dumps(asked).encode())
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300), text=st.text(max_size=100))
def test_no_bytes_and_no_csv_make_the_server_fail(
    client: httpx.Client, raw: bytes, text: str
) -> None:
    assert client.post("/v1/studies", content=raw).status_code == 400
    asked = {"shipped": "hello-lstm", "name": "fuzz", "trials": 2, "csv": text}
    answer = client.post("/v1/studies", content=json.dumps(asked).encode())
    # Some text may be a CSV that another, which waits already, is not.
    assert answer.status_code in (201, 400), answer.text


def test_results_come_as_json_as_parquet_and_as_a_report(client: httpx.Client) -> None:
    path = "/v1/studies/%3Cb%3Esmall%20&%20odd"
    trials = client.get(f"{path}/results").json()["trials"]
    assert sorted(trial["trial"] for trial in trials) == [0, 1, 2, 3]
    assert pq.read_table(io.BytesIO(client.get(f"{path}/runs.parquet").content)).num_rows == 8
    curves = pq.read_table(io.BytesIO(client.get(f"{path}/curves.parquet").content))
    assert curves.num_rows > 8
    report = client.get(f"{path}/report")
    assert "attachment" in report.headers["content-disposition"]
    assert "&lt;b&gt;small &amp; odd" in report.text
    for more in ("", "/results", "/runs.parquet", "/report"):
        assert "no study named" in error_of(client.get(f"/v1/studies/none{more}"), 404)


def test_an_upload_says_which_field_nobody_reads_and_reads_all_others(
    client: httpx.Client, place: Database, csv: bytes
) -> None:
    files = {"csv": ("mine.csv", csv)}
    form = {"shipped": "hello-lstm", "name": "labelled", "trials": "2"}
    wrong = client.post("/v1/studies/upload", data=form | {"prioritty": "9"}, files=files)
    assert "prioritty: there is no such field; there are: csv, epochs" in error_of(wrong, 400)
    wrong = client.post("/v1/studies/upload", data=form | {"label": "none"}, files=files)
    assert "none" in error_of(wrong, 400)
    more = {"label": "a", "timesteps": "1", "seed": "5"}
    answer = client.post("/v1/studies/upload", data=form | more, files=files)
    assert answer.status_code == 201, answer.text
    document = entries(place, name="labelled")[0].document
    assert (document["task"]["label"], document["task"]["timesteps"]) == ("a", 1)
    assert document["search"]["seed"] == 5
    queue.cancel(place, "labelled")


def test_a_form_that_is_sent_where_json_is_due_is_told_where_it_belongs(
    client: httpx.Client, csv: bytes
) -> None:
    answer = client.post("/v1/studies", data={"name": "x"}, files={"csv": ("mine.csv", csv)})
    assert "are sent to /v1/studies/upload" in error_of(answer, 400)


def test_a_storage_that_is_lost_is_told_at_once(
    client: httpx.Client, place: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def lost() -> Any:
        asked.append("once")
        raise Passing("the server is gone")

    monkeypatch.setattr(place, "reading", lost)
    answer = client.get("/health")
    assert (answer.status_code, asked) == (503, ["once"])


def test_a_lost_storage_and_a_fault_are_told_in_one_form_everywhere(
    client: httpx.Client, place: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = {"Accept": "text/html"}

    def lost(*_: Any, **__: Any) -> Any:
        raise Lost("the server is gone")

    with monkeypatch.context() as patch:
        patch.setattr(place, "read", lost)
        for path in ("/", "/v1/queue", ODD_REPORT):
            said = error_of(client.get(path), 503)
            assert said == "the server is gone; ask again in a while"
        page = client.get("/", headers=person).text
        assert "Not just now" in page
        assert "the server is gone" in page
    with monkeypatch.context() as patch:
        patch.setattr("sweep.report.live._Page.state", lost)
        page = client.get(ODD_REPORT)
        assert page.status_code == 503
        assert "the server is gone. This page tries again." in page.text
    with monkeypatch.context() as patch:
        patch.setattr(place, "read", lambda *_: 1 / 0)
        assert "a fault in sweep" in error_of(client.get("/v1/queue"), 500)
        page = client.get("/", headers=person)
        assert (page.status_code, "a fault in sweep" in page.text) == (500, True)


def test_its_description_says_what_is_answered(client: httpx.Client) -> None:
    described = client.get("/v1/openapi.json").json()
    assert "HTTPValidationError" not in described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for operation in methods.values():
            answers = operation["responses"]
            assert "422" not in answers
            if path.startswith("/v1/"):
                problem = answers["default"]["content"]["application/json"]["schema"]
                assert problem == {"$ref": "#/components/schemas/Problem"}
                assert path.endswith(("parquet", "report")) or "$ref" in json.dumps(
                    answers.get("200") or answers["201"]
                )


def test_its_description_names_every_address_of_the_api(client: httpx.Client) -> None:
    described = client.get("/v1/openapi.json").json()
    assert {"/v1/studies", "/v1/studies/{name}/cancel", "/health", "/metrics"} <= set(
        described["paths"]
    )


def test_health_and_metrics(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    text = client.get("/metrics").text
    assert 'sweep_queue_studies{state="done"} 1' in text
    assert "\nsweep_runs_finished_total 8\n" in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .+|sweep_\w+(\{state="\w+"\})? [0-9.e+-]+', line), line


def test_nothing_is_made_to_see_how_much_memory_a_study_would_take(study: Any) -> None:
    shape = {"training": {"units": 8}, "space": {"layers": [1, 2]}}
    task = {"name": "first-value", "records": 10**6, "timesteps": 100}
    asked = study(task=task, **shape)
    check_study(study(task={**task, "records": 1000}, **shape), SMALL)
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=r"1,000,000 records of 100 × 1 numbers .*--max-memory"):
            check_study(asked, SMALL)
        embedded = study(task={"name": "first-value", "high": 10**6, "embed": True}, **shape)
        with pytest.raises(BadInput, match=r"200 records of 3 × 1,000 numbers .*--max-memory"):
            check_study(embedded, Limits(memory=MIB))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
