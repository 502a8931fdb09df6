"""Who may ask the server, by which name, and how much."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from studies.errors import BadInput
from sweep.service.app import policy
from sweep.service.guard import Guard, Token, token_from
from sweep.service.limits import MIB, Limits
from sweep.service.logs import LOGGER
from tests.service.served import ODD, ODD_REPORT, SECRET, SMALL, ask, error_of


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


def test_the_limit_of_what_is_sent_is_what_the_option_says(client: httpx.Client) -> None:
    said = error_of(client.post("/v1/studies", content=b"x" * (SMALL.upload + 1)), 413)
    assert said.startswith("100,001 bytes are more than may be sent")
    assert client.post("/v1/studies", content=b"x" * SMALL.upload).status_code == 400


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


def test_a_form_sent_after_signing_out_leads_to_the_sign_in_and_a_program_is_told(
    locked: httpx.Client,
) -> None:
    person = {"Accept": "text/html,*/*"}
    locked.cookies.clear()
    locked.post("/login", data={"token": SECRET})
    assert locked.post("/cancel", data={"name": "x"}, headers=person).status_code == 404
    locked.post("/logout")
    for path in ("/submit", "/cancel"):
        answer = locked.post(path, data={"name": "x"}, headers=person)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    answer = locked.head(ODD_REPORT, headers=person)
    assert answer.headers["location"] == "/login?next=/reports/%3Cb%3Esmall%20%26%20odd/"
    for answer in (
        locked.post("/v1/studies", json={}, headers=person),
        locked.put("/api/studies/1/note", json={}, headers=person),
    ):
        assert answer.status_code == 401
        assert "a token is needed" in answer.text
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_browser_is_refused_with_a_page(client: httpx.Client) -> None:
    person = {"Accept": "text/html,*/*"}
    elsewhere = {**person, "Origin": "http://evil.example"}
    form = {**person, "Content-Type": "application/x-www-form-urlencoded"}
    piece = [b"x" * 300_000] * 8
    for status, said, answer in [
        (403, "another site", client.post("/cancel", data={"name": "x"}, headers=elsewhere)),
        (
            421,
            "known as &#39;x.example&#39;",
            client.get("/", headers={**person, "Host": "x.example"}),
        ),
        (400, "name: Field required", client.post("/cancel", headers=person)),
        (405, "Method Not Allowed", client.put("/", headers=person)),
        (413, "--max-upload", client.post("/submit", content=b"x" * 200_000, headers=person)),
        (413, "--max-upload", client.post("/submit", content=iter(piece), headers=form)),
    ]:
        assert answer.status_code == status
        assert said in answer.text
        title = "Not by this name" if status == 421 else "That cannot be done"
        assert f"<h1>{title}</h1>" in answer.text
        assert ("To the studies" in answer.text) == (status != 421)
        assert answer.headers.get("allow") == ("GET" if status == 405 else None)


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
