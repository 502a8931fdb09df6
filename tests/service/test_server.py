"""The server over HTTP, as programs and a browser meet it."""

import asyncio
import io
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright
from starlette.responses import PlainTextResponse

from storage import queue
from storage.database import Database, open_database
from storage.failures import Lost, Passing
from storage.lease import hold
from storage.queue import entries
from studies.errors import BadInput
from studies.study import Study
from sweep.service.app import policy, service
from sweep.service.guard import Guard, Token, token_from
from sweep.service.limits import MIB, Limits, check_study
from sweep.service.logs import LOGGER
from sweep.service.server import listen
from sweep.service.submission import put
from sweep.service.worker import Worker
from tests.conftest import CHROMIUM, FLAGS

SECRET = "correct horse battery staple"
SMALL = Limits(upload=100_000, epochs=20_000, memory=64 * MIB)


@contextmanager
def running(database: Database, token: Token | None = None) -> Iterator[httpx.Client]:
    """The server on a free port, and a client of it."""
    taken = listen("127.0.0.1", 0)
    hosts = frozenset({"127.0.0.1", "localhost"})
    application = service(database, hosts=hosts, token=token, limits=SMALL)
    config = uvicorn.Config(application, log_config=None, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, timeout=240) as client:
            yield client
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A storage whose study `<b>small & odd` was run by a worker."""
    conftest = runpy.run_path(str(Path(__file__).parent / "conftest.py"))
    url = f"sqlite:///{tmp_path_factory.mktemp('served') / 'sweep.db'}"
    with open_database(url) as database:
        put(database, conftest["study"](ODD))
        Worker(url, train=conftest["Engine"](1000)).work(once=True)
        yield database


ODD = "<b>small & odd"
ODD_REPORT = "/reports/%3Cb%3Esmall%20&%20odd/"


@pytest.fixture(scope="module")
def client(place: Database) -> Iterator[httpx.Client]:
    with running(place) as client:
        yield client


@pytest.fixture(scope="module")
def locked(place: Database) -> Iterator[httpx.Client]:
    """A server that asks for a token."""
    with running(place, Token(SECRET)) as client:
        yield client


def error_of(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def ask(app: Any, url: str, **headers: str) -> httpx.Response:
    """What an application answers that listens at the address of this URL."""

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(url, headers=headers)

    return asyncio.run(get())


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


def test_too_large_and_too_deep_are_refused(client: httpx.Client) -> None:
    deep = '{"name": "x", "study": ' + '{"a":' * 30 + "1" + "}" * 31
    assert "--max-depth" in error_of(client.post("/v1/studies", content=deep), 400)
    toml = "a = " + "[" * 30 + "]" * 30
    answer = client.post("/v1/studies", json={"name": "x", "study": toml})
    assert "--max-depth" in error_of(answer, 400)
    large = b"x" * (2 * MIB)
    assert "--max-upload" in error_of(client.post("/v1/studies", content=large), 413)
    piece = [b"x" * 300_000] * 8
    assert "--max-upload" in error_of(client.post("/v1/studies", content=iter(piece)), 413)


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


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.fixed_dictionaries({"name": st.just("fuzz"), "study": TABLES | st.text()}) | JSON)
def test_no_document_makes_the_server_fail(client: httpx.Client, asked: Any) -> None:
    answer = client.post("/v1/studies", content=json.dumps(asked).encode())
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_the_dashboard_is_read_and_takes_notes_but_nothing_else(client: httpx.Client) -> None:
    assert client.get("/dashboard/").status_code == 200
    script = re.search(r'src="(/static/[^"]+)"', client.get("/dashboard").text)
    assert script is not None
    with client.stream("GET", script[1]) as streamed:
        assert sum(map(len, streamed.iter_bytes())) > MIB
    (copy,) = client.get("/api/studies").json()["study_summaries"]
    path = f"/api/studies/{copy['study_id']}"
    trials = client.get(path, params={"after": 0}).json()["trials"]
    assert len(trials) == 4
    assert client.put(f"{path}/note", json={"body": "seen", "version": 1}).status_code == 204
    assert client.get(path, params={"after": 0}).json()["note"]["body"] == "seen"
    files = trials[0]["artifacts"]
    assert len(files) == 3
    shown = client.get(
        f"/artifacts/{copy['study_id']}/{trials[0]['trial_id']}/{files[1]['artifact_id']}"
    )
    assert shown.text.startswith("replicate,seed,epoch,loss,accuracy\n0,0,1,")
    assert "access-control-allow-origin" not in shown.headers
    sent = {"file": "data:text/plain;base64,eA==", "filename": "x.txt"}
    for method, address in (
        ("POST", f"/api/artifacts/{copy['study_id']}"),
        ("POST", f"/api/artifacts/{copy['study_id']}/{trials[0]['trial_id']}"),
        ("DELETE", path),
        ("POST", f"{path}/rename"),
        ("POST", "/api/studies"),
        ("POST", f"/api/trials/{trials[0]['trial_id']}/tell"),
    ):
        refused = client.request(method, address, json=sent)
        assert refused.status_code == 403, (method, address)
        assert "write notes in it" in refused.json()["reason"]
    assert client.put(f"{path}/note", content=b"x" * (2 * MIB)).status_code == 413
    pieces = iter([b'{"body": "', *[b"x" * 300_000] * 8])
    form = {"Content-Type": "application/json"}
    large = client.put(f"{path}/note", content=pieces, headers=form)
    assert "--max-upload" in error_of(large, 413)
    assert client.get("/csv/" + str(copy["study_id"])).text.startswith("Number,State")


def test_a_study_that_a_worker_has_just_taken_is_on_the_page(
    client: httpx.Client, place: Database, study: Any
) -> None:
    put(place, study("taken"))
    claimed = queue.claim(place, "a worker")
    assert claimed is not None
    assert claimed.entry.progress == {}
    for path in ("/", "/parts"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert re.search(r">taken</a>\s+<span class=\"hint\">begins</span>", answer.text)
    assert "Cancel taken" in client.get("/").text
    told = {"text": "trials 2/4", "trials": 2, "runs": 5, "runs_asked": 8, "solved_runs": 5}
    with queue.working(place, claimed) as held:
        queue.tell(place, claimed, held, told)
        assert "trials 2/4" in client.get("/parts").text
        queue.cancel(place, "taken")
        stopping = client.get("/parts").text
        assert "stops, as asked" in stopping
        assert "Cancel taken" not in stopping
        queue.finish(place, claimed, held, "cancelled", "no run was finished")


def test_numbers_of_a_study_are_those_of_its_progress(
    client: httpx.Client, place: Database, study: Any
) -> None:
    put(place, Study.from_document(study(ODD).document(), ODD).changed({"search.trials": 9}))
    claimed = queue.claim(place, "a worker")
    assert claimed is not None
    row = '<td class="number">{}</td><td class="number">{}</td><td class="number">{}</td>'
    with queue.working(place, claimed) as held:
        assert row.format(4, 8, 8) in client.get("/parts").text
        queue.tell(place, claimed, held, {"trials": 6, "runs": 13, "solved_runs": 12})
        assert row.format(6, 13, 12) in client.get("/parts").text
        queue.finish(place, claimed, held, "cancelled")


def test_the_report_of_a_study_that_never_began_says_so(
    client: httpx.Client, place: Database, study: Any
) -> None:
    put(place, study("never"))
    assert "never waits in the queue" in client.get("/reports/never/").text
    queue.cancel(place, "never")
    assert '<a href="/">To the studies</a>' in client.get("/reports/never/").text
    assert "never is cancelled: before it began" in client.get("/reports/never/").text


def test_who_opens_an_address_that_is_not_there_gets_a_page(client: httpx.Client) -> None:
    person = {"Accept": "text/html,*/*"}
    for path in ("/nothing", "/reports/nope/"):
        page = client.get(path, headers=person)
        assert (page.status_code, page.headers["content-type"][:9]) == (404, "text/html")
        assert "To the studies" in page.text
        assert error_of(client.get(path), 404)
    assert "nothing at /v1/nothing" in error_of(client.get("/v1/nothing", headers=person), 404)
    assert error_of(client.put("/v1/queue"), 405) == "Method Not Allowed"


def test_a_form_that_is_refused_comes_back_with_what_was_written(client: httpx.Client) -> None:
    form = {"shipped": "latch", "name": "a/b", "trials": "7"}
    page = client.post("/submit", data=form)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert 'value="a/b"' in page.text
    assert 'value="7"' in page.text
    assert "<option selected>latch</option>" in page.text


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


def test_the_limit_of_what_is_sent_is_what_the_option_says(client: httpx.Client) -> None:
    said = error_of(client.post("/v1/studies", content=b"x" * (SMALL.upload + 1)), 413)
    assert said.startswith("100,001 bytes are more than may be sent")
    assert client.post("/v1/studies", content=b"x" * SMALL.upload).status_code == 400


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


def test_a_fault_is_answered_in_words_and_its_cause_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("made up")

    guard = Guard(faulty, frozenset({"here"}), None, Limits())
    LOGGER.addHandler(caplog.handler)
    try:
        answer = ask(guard, "http://here")
    finally:
        LOGGER.removeHandler(caplog.handler)
    assert "a fault in sweep" in error_of(answer, 500)
    assert "ZeroDivisionError: made up" in caplog.text


def test_a_server_may_be_asked_for_by_its_own_address_and_by_no_other(client: httpx.Client) -> None:
    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("fine")(scope, receive, send)

    guard = Guard(fine, frozenset({"named"}), None, Limits())
    for host in ("10.1.2.3", "10.1.2.3:8000", "named"):
        assert ask(guard, "http://10.1.2.3", Host=host).status_code == 200
    other = ask(guard, "http://10.1.2.3", Host="10.1.2.4")
    assert "known as '10.1.2.4'; " in error_of(other, 421)
    assert "--allowed-host" in error_of(other, 421)


def test_every_study_that_waits_has_its_report_s_address(
    client: httpx.Client, place: Database, study: Any
) -> None:
    for name in ("first", "second"):
        put(place, study(name))
    for name in ("first", "second"):
        assert f"{name} waits in the queue" in client.get(f"/reports/{name}/").text
        queue.cancel(place, name)


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


def test_without_the_token_nothing_is_to_be_had(locked: httpx.Client) -> None:
    for path in (
        "/",
        "/parts",
        "/metrics",
        "/v1/queue",
        "/dashboard",
        "/api/studies",
        "/reports/x/",
    ):
        assert "a token is needed" in error_of(locked.get(path), 401)
        wrong = {"Authorization": f"Bearer {SECRET}x"}
        assert "that is not the token" in error_of(locked.get(path, headers=wrong), 401)
        assert locked.get(f"{path}?token={SECRET}").status_code == 401
    assert locked.post("/v1/studies", json={}).status_code == 401
    right = {"Authorization": f"Bearer {SECRET}"}
    assert locked.get("/v1/queue", headers=right).status_code == 200
    assert locked.get("/health").status_code == 200


def test_a_browser_signs_in_and_its_cookie_does_not_tell_the_token(locked: httpx.Client) -> None:
    page = locked.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    asked = locked.get(ODD_REPORT, headers={"Accept": "text/html"})
    assert asked.headers["location"] == "/login?next=/reports/%3Cb%3Esmall%20%26%20odd/"
    assert (
        'value="/reports/&lt;b&gt;small &amp; odd/"' in locked.get(asked.headers["location"]).text
    )
    for next_page, leads in [
        ("/reports/<b>small & odd/", "/reports/%3Cb%3Esmall%20%26%20odd/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
    ]:
        signed = locked.post("/login", data={"token": SECRET, "next": next_page})
        assert (signed.status_code, signed.headers["location"]) == (303, leads)
    locked.cookies.clear()
    assert locked.post("/login", data={"token": "wrong"}).status_code == 401
    answer = locked.post("/login", data={"token": SECRET})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert SECRET not in cookie
    assert locked.get("/v1/queue").status_code == 200
    assert "Sign out" in locked.get("/").text
    assert locked.post("/logout").headers["location"] == "/login"
    assert locked.get("/v1/queue").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/cancel", "/submit", "/login", "/v1/studies", "/api/studies"])
def test_pages_of_other_sites_cannot_post(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, headers=headers, data={"name": ODD})
    assert "a page of another site" in error_of(answer, 403)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil", "", "["])
def test_a_name_that_was_made_to_lead_here_gets_nothing(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/queue", headers={"Host": host}).status_code in (400, 421)


def test_every_page_has_a_policy_and_a_report_s_allows_its_own_scripts_only(
    client: httpx.Client,
) -> None:
    for path in ("/", "/login", "/v1/queue", "/nothing", "/assets/service.js"):
        sent = client.get(path).headers
        assert "script-src 'self'" in sent["content-security-policy"]
        assert "unsafe" not in sent["content-security-policy"]
        assert sent["x-content-type-options"] == "nosniff"
    report = client.get(ODD_REPORT)
    allowed = report.headers["content-security-policy"]
    assert allowed == policy(report.text)
    assert allowed.count("'sha256-") == report.text.count("<script")
    assert "script-src 'none'" in policy("<p>no script</p>")


def test_a_report_says_that_it_runs_only_while_it_does(
    client: httpx.Client, place: Database
) -> None:
    def progress() -> Any:
        with client.stream("GET", f"{ODD_REPORT}events") as events:
            for line in events.iter_lines():
                if line.startswith("data: "):
                    return json.loads(line.removeprefix("data: "))
        raise AssertionError

    assert client.get(ODD_REPORT).status_code == 200
    assert progress() == {"idle": True}
    with hold(place, ODD):
        assert progress() == {}


def test_a_report_of_no_study_is_not_there(client: httpx.Client) -> None:
    assert "there is no study nope" in error_of(client.get("/reports/nope/"), 404)


@pytest.mark.parametrize("text", ["short", "a" * 15, "ä" * 20, "a token\nof two lines long"])
def test_a_token_that_is_too_short_or_odd_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="16 or more printable ASCII characters"):
        token_from(file, {})
    with pytest.raises(BadInput, match="cannot be read"):
        token_from(tmp_path / "none", {})
    assert token_from(None, {}) is None
    assert token_from(None, {"SWEEP_TOKEN": SECRET}) == Token(SECRET)


def test_in_a_browser_all_pages_work_without_a_complaint(
    client: httpx.Client, place: Database, tmp_path: Path
) -> None:
    address = str(client.base_url)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(240_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        page.goto(address)
        assert page.locator("b").count() == 0
        wide = "() => document.documentElement.scrollWidth - window.innerWidth"
        assert page.evaluate(wide) <= 0
        page.fill(".ask input[name=name]", "from the page")
        page.fill(".ask input[name=trials]", "3")
        page.get_by_role("button", name="Submit").click()
        page.get_by_text("waits at place 1").wait_for()
        shot = os.environ.get("SWEEP_SHOTS")
        if shot:
            page.screenshot(path=f"{shot}/phone.png", full_page=True)
            page.set_viewport_size({"width": 1200, "height": 800})
            page.screenshot(path=f"{shot}/start.png", full_page=True)
        page.get_by_role("button", name="Cancel from the page").click()
        page.get_by_text("cancelled: before it began").first.wait_for()
        page.get_by_role("link", name=ODD).last.click()
        page.locator(".plot .scatterlayer .trace").first.wait_for(state="attached")
        assert complaints == []
        page.goto(f"{address}/dashboard")
        page.get_by_text(ODD).first.wait_for()
        browser.close()


def test_axe_finds_no_violation_on_any_page(client: httpx.Client, place: Database) -> None:
    put(place, runpy.run_path(str(Path(__file__).parent / "conftest.py"))["study"]("waits"))
    found: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        for scheme, width in product(("light", "dark"), (1280, 390)):
            # axe is a script that the pages' own policy would not let in.
            page = browser.new_page(
                viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True
            )
            page.set_default_timeout(240_000)
            for path in ("/", "/login"):
                page.goto(f"{client.base_url}{path}")
                found += Axe().run(page).response["violations"]
            page.goto(str(client.base_url))
            page.fill(".ask input[name=name]", "a/b")
            page.get_by_role("button", name="Submit").click()
            page.get_by_role("alert").wait_for()
            found += Axe().run(page).response["violations"]
            page.close()
        browser.close()
    queue.cancel(place, "waits")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


@contextmanager
def command(url: str, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", "serve", "--storage", url, *words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_command_serves_with_workers_and_ends_them_when_it_ends(sqlite_url: str) -> None:
    words = ("--port", "0", "--workers", "1", "--log-format", "json")
    with command(sqlite_url, *words) as process:
        assert process.stderr is not None
        events = (json.loads(line) for line in process.stderr)
        first = next(events)
        assert first["event"] == "serving"
        pid = next(event["pid"] for event in events if event["event"] == "worker started")
        next(event for event in events if event["event"] == "worker begins")
        assert httpx.get(f"{first['url']}health", timeout=240).json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        said = [event["event"] for event in events]
        assert process.wait() == 0
    assert {"server ends", "worker ends"} <= set(said)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_another_address_needs_a_token(sqlite_url: str) -> None:
    with command(sqlite_url, "--host", "0.0.0.0", SWEEP_TOKEN="") as process:
        said = process.communicate()[1]
    assert process.returncode == 2
    assert "needs a token: --token-file FILE, or the variable SWEEP_TOKEN" in said


def test_a_server_of_all_addresses_knows_the_machine_s_name(sqlite_url: str) -> None:
    with command(sqlite_url, "--host", "0.0.0.0", "--port", "0", SWEEP_TOKEN=SECRET) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split(" · ")[1].removeprefix("url ")
        name, port = url.removeprefix("http://").strip("/").split(":")
        assert name == socket.gethostname()
        for host, status in ((name, 200), ("evil.example", 421)):
            asked = httpx.get(f"http://127.0.0.1:{port}/health", headers={"Host": f"{host}:{port}"})
            assert asked.status_code == status
        process.send_signal(signal.SIGINT)
        process.communicate()


def test_neither_token_nor_password_is_in_the_log(sqlite_url: str) -> None:
    with command(sqlite_url, "--port", "0", SWEEP_TOKEN=SECRET) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split(" · ")[1].removeprefix("url ")
        right = {"Authorization": f"Bearer {SECRET}"}
        assert (
            httpx.get(f"{url}v1/queue?token={SECRET}", headers=right, timeout=240).status_code
            == 200
        )
        assert httpx.post(f"{url}login", data={"token": SECRET}, timeout=240).status_code == 303
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert "path /v1/queue" in said
    assert SECRET not in said
    assert "token=" not in said


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
