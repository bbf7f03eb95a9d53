"""The edge: forged headers change nothing, those of a trusted proxy do; every answer has its request's id."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, request

from config import Config
from smsapp.domain import log_context
from smsapp.factory import create_app
from smsapp.store import queue
from smsapp.web import guard
from tests.conftest import settings

FORWARDED = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "sms.example.com",
    "X-Request-ID": "from-the-proxy-1",
}
Seen = dict[str, Any]


@pytest.fixture
def config(sqlite_config: Config) -> Config:
    return settings(sqlite_config.INSTANCE_DIR, TRUSTED_PROXIES="10.0.0.0/24", REDIS_URL=sqlite_config.REDIS_URL)


@pytest.fixture
def seen(app: Flask) -> Seen:
    """What the last request looked like to the application."""
    last: Seen = {}

    @guard.public
    def looked_at() -> str:
        last.update(
            address=guard.address(),
            root=request.url_root,
            id=log_context.REQUEST.get(),
            headers={name for name in dict(request.headers) if name.startswith("X-")},
        )
        return ""

    app.add_url_rule("/looked-at", view_func=looked_at)
    return last


def test_a_trusted_proxy_says_who_asks_and_for_what(app: Flask, seen: Seen) -> None:
    answer = app.test_client().get("/looked-at", headers=FORWARDED, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert (seen["address"], seen["root"]) == ("203.0.113.7", "https://sms.example.com/")
    assert seen["id"] == answer.headers["X-Request-ID"] == "from-the-proxy-1"


@pytest.mark.parametrize("peer", ["10.0.1.9", "203.0.113.9", ""])
def test_forged_headers_of_anybody_else_are_gone(app: Flask, seen: Seen, peer: str) -> None:
    answer = app.test_client().get("/looked-at", headers=FORWARDED, environ_base={"REMOTE_ADDR": peer})
    assert (seen["address"], seen["root"], seen["headers"]) == (peer, "http://localhost/", set())
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("forged", ["short", "x" * 65, "with blanks in it", "a=b run=1 level=ERROR", "<b>12345678</b>"])
def test_an_id_that_is_not_well_formed_is_replaced(app: Flask, seen: Seen, forged: str) -> None:
    headers = FORWARDED | {"X-Request-ID": forged}
    app.test_client().get("/looked-at", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert re.fullmatch(r"[0-9a-f]{16}", seen["id"])


def test_a_scheme_nobody_knows_is_not_believed(app: Flask, seen: Seen) -> None:
    headers = FORWARDED | {"X-Forwarded-Proto": "javascript"}
    app.test_client().get("/looked-at", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert seen["root"] == "http://sms.example.com/"


def test_pages_machines_and_errors_all_answer_with_an_id_of_their_own(app: Flask) -> None:
    browser = app.test_client()
    answers = [browser.get(path) for path in ("/sign-in", "/no-such-page", "/healthz")]
    answers.append(browser.post("/up", json=[]))
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 4


def test_a_job_knows_the_request_that_has_led_to_it(app: Flask) -> None:
    token = log_context.REQUEST.set("0123456789abcdef")
    queue.enqueue(queue.PERIODIC, "sweep")
    log_context.REQUEST.reset(token)
    (job,) = queue.queue(queue.PERIODIC).jobs
    assert queue.request_id(job) == "0123456789abcdef"
    job.meta[queue.REQUEST_ID] = "forged\nin Redis"
    assert queue.request_id(job) == ""


@pytest.mark.parametrize(
    ("given", "scheme", "header"),
    [
        ({}, "https", None),
        ({"SECURE_COOKIES": "1"}, "https", None),
        ({"HSTS_SECONDS": "300"}, "https", "max-age=300"),
        ({"HSTS_SECONDS": "300", "HSTS_SUBDOMAINS": "1"}, "https", "max-age=300; includeSubDomains"),
        ({"HSTS_SECONDS": "300"}, "http", None),
    ],
)
def test_hsts_is_a_setting_of_its_own(
    sqlite_config: Config, given: dict[str, str], scheme: str, header: str | None
) -> None:
    app = create_app(settings(sqlite_config.INSTANCE_DIR, REDIS_URL=sqlite_config.REDIS_URL, **given))
    answer = app.test_client().get("/sign-in", base_url=f"{scheme}://localhost")
    assert answer.headers.get("Strict-Transport-Security") == header
