"""What a person sees of the server, in a browser and before."""

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from storage import queue
from storage.database import Database
from storage.lease import hold
from studies.study import Study
from sweep.service.limits import MIB
from sweep.service.submission import put
from tests.conftest import CHROMIUM, FLAGS
from tests.service.served import ODD, ODD_REPORT, error_of


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


def test_every_study_that_waits_has_its_report_s_address(
    client: httpx.Client, place: Database, study: Any
) -> None:
    for name in ("first", "second"):
        put(place, study(name))
    for name in ("first", "second"):
        assert f"{name} waits in the queue" in client.get(f"/reports/{name}/").text
        queue.cancel(place, name)


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


def test_axe_finds_no_violation_on_any_page(
    client: httpx.Client, place: Database, study: Any
) -> None:
    put(place, study("waits"))
    found: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        for scheme, width in (("light", 1280), ("dark", 390)):
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
