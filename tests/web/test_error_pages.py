"""Error pages: each says what to do and names the request; pieces and machines get short answers."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask, abort

from smsapp.store.db import current_session, db
from smsapp.web import errors, guard
from tests.pages import Page

STATUSES = (400, 403, 404, 405, 413, 414, 429, 500, 503)


@pytest.fixture
def failing(app: Flask) -> Flask:
    """An application with addresses that fail."""

    @guard.public
    def fail(status: int) -> str:
        if status == 503:
            raise sa.exc.OperationalError("SELECT '13800138000'", {}, Exception("geheim"))
        if status == 500:
            abort(500)
        abort(status)

    app.add_url_rule("/fail/<int:status>", view_func=fail)
    return app


@pytest.mark.parametrize("language", ["zh_Hans", "en"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_page_says_what_to_do_and_names_the_request(failing: Flask, status: int, language: str) -> None:
    browser = failing.test_client()
    with browser.session_transaction() as session:
        session["locale"] = language
    answer = browser.get(f"/fail/{status}")
    page = Page.of(answer)
    assert answer.status_code == status
    assert page.html is not None
    assert page.html["lang"] == {"zh_Hans": "zh-Hans", "en": "en"}[language]
    assert page.h1 is not None
    assert page.select("[data-error] p")
    assert answer.headers["X-Request-ID"] in page.text
    assert "geheim" not in answer.text
    assert "13800138000" not in answer.text
    is_chinese = any("一" <= letter <= "鿿" for letter in page.select("[data-error]")[0].text)
    assert is_chinese == (language == "zh_Hans")


@pytest.mark.parametrize("status", STATUSES)
def test_a_piece_is_not_a_page(failing: Flask, status: int) -> None:
    answer = failing.test_client().get(f"/fail/{status}", headers={"HX-Request": "true"})
    assert answer.status_code == status
    assert "<html" not in answer.text
    assert Page.of(answer).select("[data-error] p")


@pytest.mark.parametrize("status", STATUSES)
def test_machines_get_json(failing: Flask, status: int) -> None:
    answer = failing.test_client().get(f"/fail/{status}", headers={"Accept": "application/json"})
    assert answer.json is not None
    assert (answer.status_code, answer.json["request"]) == (status, answer.headers["X-Request-ID"])


def test_while_the_database_is_gone_pages_say_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception())

    sa.event.listen(db.engine, "before_cursor_execute", gone)
    try:
        browser = app.test_client()
        with browser.session_transaction() as session:
            session["_user_id"] = "1.mark.sitting.1700000000"
        answers = [browser.get(path) for path in ("/campaigns/", "/no-such-page")]
        told = browser.get("/healthz").status_code, browser.get("/readyz").status_code
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", gone)
    assert [answer.status_code for answer in answers] == [503, 404]
    assert "数据库没有响应" in answers[0].text
    assert answers[0].headers["Retry-After"] == "30"
    assert "页面不存在" in answers[1].text
    assert told == (200, 503)
    current_session().rollback()


def test_an_address_with_a_wrong_method_names_the_right_one(app: Flask) -> None:
    answer = app.test_client().delete("/sign-in")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_every_status_is_explained() -> None:
    assert {*errors.EXPLANATIONS} >= {status for status in STATUSES if status != 503}
    assert all(len(text) >= 2 for text in errors.EXPLANATIONS.values())
