"""The strict page client: every page a test opens is checked for faults.

`page = client.as_("operator").get("/segments/")` returns a `Page` (a BeautifulSoup with `.response`). Checked each
time: the status, valid HTML, language, title, exactly one h1 and no skipped heading, unique ids, a label for every
control, a name for every button and link, references that exist, an id for what is refreshed, names of their own for
links in rows, links and forms that lead to a real endpoint, a CSRF token in every POST form and in no GET form, htmx
targets that exist, no inline script or style, safe headers, no secret and (for those who may not see them) no whole
phone number.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self, cast
from urllib.parse import urljoin, urlsplit

import html5lib
import pytest
from bs4 import BeautifulSoup, Tag
from bs4.builder._html5lib import HTML5TreeBuilder
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

from smsapp.services.platform import clock
from smsapp.store.db import db
from smsapp.store.users import User

WHOLE_NUMBER = re.compile(r"(?<!\d)(?:\+?86)?1[3-9]\d{9}(?!\d)")
IN_ADDRESS = re.compile(rf"(?<![a-z]){WHOLE_NUMBER.pattern}(?![a-z])")
"""A number in an address; digits within an id of hexadecimal ones are none."""
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
NOT_FOR_READERS = (
    "Traceback (most recent call last)",
    "argon2id$",
    "<flask_babel",
    "lazy_gettext",
    "object at 0x",
    "{{",
    "{%",
)
CONTROLS = "input:not([type=hidden], [type=submit], [type=button], [type=reset], [type=image]), select, textarea"
HX_VERBS = ("get", "post", "put", "patch", "delete")


class StrictBuilder(HTML5TreeBuilder):
    """Keeps what the parser finds wrong, so that a page need not be parsed a second time to know it."""

    faults: Sequence[Any] = ()

    def feed(self, markup: Any) -> None:
        parser = html5lib.HTMLParser(tree=self.create_treebuilder)  # type: ignore[arg-type]  # as bs4 does
        assert self.underlying_builder is not None
        self.underlying_builder.parser = parser
        parser.parse(markup).original_encoding = None
        self.underlying_builder.parser = None
        self.faults = parser.errors


class Page(BeautifulSoup):
    """A page that was checked; `response` is what the server answered."""

    response: TestResponse

    @classmethod
    def of(cls, response: TestResponse) -> Self:
        page = cls(response.get_data(as_text=True), builder=StrictBuilder())
        page.response = response
        return page

    def said(self) -> str:
        """Return what the page tells the reader: flashes, problem boxes and errors beside fields."""
        return " ".join(_text(element) for element in self.select(".flash, .field-errors, [data-error]"))

    def first(self, selector: str) -> Tag:
        """Return the first element found; there has to be one."""
        element = self.select_one(selector)
        assert element is not None, f"nothing in the page matches {selector}"
        return element

    def value(self, selector: str, attribute: str = "value") -> str:
        """Return an attribute of the first element found; both have to be there."""
        return str(self.first(selector)[attribute])

    def texts(self, selector: str) -> list[str]:
        """Return the text of every element found, with single blanks."""
        return [_text(element) for element in self.select(selector)]

    def rows(self) -> list[list[str]]:
        """Return the cells of every table row, as text."""
        return [[_text(cell) for cell in row.find_all(["td", "th"])] for row in self.select("tbody tr")]


def _text(element: Tag) -> str:
    return " ".join(element.get_text(" ").split())


class Pages:
    """A client without JavaScript that checks every page it opens."""

    def __init__(self, app: Flask, role: str | None = None) -> None:
        self.app = app
        self.role = role
        self.sees_numbers = role == "administrator"
        self.raw: FlaskClient = app.test_client()
        """For answers that are not pages (files, images)."""
        self.user_id: int | None = None

    def as_(self, role: str, locale: str = "", sees_numbers: bool = False) -> Pages:
        """Return a client signed in as a new person of this role."""
        pages = Pages(self.app, role)
        pages.sees_numbers = sees_numbers or role == "administrator"
        person = User(
            login=f"{role}-{len(db.session.query(User.id).all())}",
            name={"viewer": "Vera", "operator": "Olga", "approver": "Anna", "administrator": "Ada"}[role],
            password_hash="unusable",
            role=role,
            locale=locale,
            sees_numbers=sees_numbers,
            session_mark="mark",
            created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )
        db.session.add(person)
        db.session.commit()
        pages.user_id = person.id
        with pages.raw.session_transaction() as session:
            session["_user_id"] = kept(person, clock.now())
            session["_fresh"] = True
        return pages

    def get(self, url: str, status: int = 200, htmx: bool = False, follow: bool = True, **query: Any) -> Page:
        """Open a page (or the piece of it that htmx asks for) and check it."""
        response = self.raw.get(url, query_string=query or None, headers=_headers(htmx))
        return self._checked(response, status, htmx, follow)

    def post(self, url: str, status: int = 200, htmx: bool = False, follow: bool = True, **fields: Any) -> Page:
        """Send a form with its CSRF token, follow the redirect, and check the page it ends at.

        A list value is sent once per item; a (file, name) tuple is uploaded. `status=422` expects the form back.
        """
        data = {name.rstrip("_"): value for name, value in fields.items() if value is not None}
        data["csrf_token"] = self.token()
        kind = "multipart/form-data" if any(isinstance(value, tuple) for value in data.values()) else None
        response = self.raw.post(url, data=data, headers=_headers(htmx), content_type=kind)
        return self._checked(response, status, htmx, follow)

    def token(self) -> str:
        """Return a CSRF token of this client's session."""
        field = TOKEN.search(self.raw.get("/account", follow_redirects=True).get_data(as_text=True))
        assert field is not None, "no page gives a CSRF token"
        return field[1]

    def _checked(self, response: TestResponse, status: int, htmx: bool, follow: bool) -> Page:
        if response.headers.get("HX-Redirect") and follow:
            response = self.raw.get(response.headers["HX-Redirect"])
        hops = 0
        while follow and response.status_code in {301, 302, 303, 307, 308} and hops < 5:
            response = self.raw.get(response.headers["Location"], headers=_headers(htmx))
            hops += 1
        page = Page.of(response)
        url = response.request.url
        assert response.status_code == status, (
            f"{url}: {response.status}, not {status}: {page.said() or page.get_text(' ', strip=True)[:400]}"
        )
        if response.mimetype == "text/html" and response.get_data() and not 300 <= response.status_code < 400:
            problems = check(page, self.app, urlsplit(url).path, self.sees_numbers)
            assert not problems, f"{url}:\n- " + "\n- ".join(problems)
        return page


def kept(person: User, begun: dt.datetime) -> str:
    """Return the id in the cookie of this person's session that began then."""
    return f"{person.id}.{person.session_mark}.sitting{person.id}.{begun.timestamp():.0f}"


def _headers(htmx: bool) -> dict[str, str]:
    return {"HX-Request": "true"} if htmx else {}


def check(page: Page, app: Flask, path: str, sees_numbers: bool) -> list[str]:
    """Return everything that is wrong with this page or piece."""
    text = page.response.get_data(as_text=True)
    is_page = "<html" in text[:500].lower()
    problems = [*_markup(page, text, is_page), *_headings(page, is_page), *_controls(page), *_references(page, is_page)]
    problems += [*_refreshed(page), *_rows(page), *_charts(page)]
    problems += [
        *_errors(page),
        *_forms(page),
        *_addresses(page, app, path),
        *_inline(page),
        *_headers_of(page.response),
    ]
    return problems + _secrets(page, app, sees_numbers)


def _markup(page: Page, text: str, is_page: bool) -> list[str]:
    faults = cast("StrictBuilder", page.builder).faults
    if not is_page:
        parser = html5lib.HTMLParser()
        parser.parseFragment(text, container="tbody" if text.lstrip().startswith("<tr") else "div")
        faults = parser.errors
    return [f"HTML at line {place[0]}: {code} {facts}" for place, code, facts in faults]


def _headings(page: Page, is_page: bool) -> list[str]:
    problems = []
    if is_page:
        language, title = page.first("html").get("lang"), page.find("title")
        if language not in {"zh-Hans", "en"}:
            problems.append(f"lang is {language!r}")
        if title is None or len(_text(title).strip(" –").split("–")) < 1 or _text(title).startswith("–"):
            problems.append("no title")
        if len(page.find_all("h1")) != 1:
            problems.append(f"{len(page.find_all('h1'))} h1")
        if page.find("main") is None:
            problems.append("no <main>")
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    jumps = [pair for pair in itertools.pairwise(levels) if pair[1] > pair[0] + 1]
    problems += [f"h{before} is followed by h{after}" for before, after in jumps]
    problems += [f"empty {heading.name}" for heading in page.find_all(re.compile("^h[1-6]$")) if not _text(heading)]
    return problems


def _controls(page: Page) -> list[str]:
    problems = []
    labelled = {label["for"] for label in page.find_all("label") if label.get("for") and _text(label)}
    for control in page.select(CONTROLS):
        around = control.find_parent("label")
        named = control.get("aria-label") or control.get("aria-labelledby") or control.get("id") in labelled
        if not (named or (around is not None and _text(around))):
            problems.append(f"no label: {str(control)[:120]}")
    for clickable in page.select("a[href], button, summary"):
        picture = clickable.select_one("[aria-label], img[alt]:not([alt=''])")
        if not (_text(clickable) or clickable.get("aria-label") or picture):
            problems.append(f"no name: {str(clickable)[:120]}")
    problems += [f"no alt: {str(image)[:120]}" for image in page.find_all("img") if image.get("alt") is None]
    problems += [f"no scope: {str(cell)[:120]}" for cell in page.select("thead th") if not cell.get("scope")]
    return problems


def _refreshed(page: Page) -> list[str]:
    """Return controls that lose the focus when their piece is refreshed: htmx restores it by id."""
    return [
        f"no id, though it is refreshed: {str(element)[:140]}"
        for piece in page.select("[data-hx-trigger*='every '], [data-hx-trigger^='load delay']")
        for element in piece.select("a[href], button, summary, select, textarea, input:not([type=hidden])")
        if not element.get("id")
    ]


def _rows(page: Page) -> list[str]:
    """Return links in rows with equal names and different addresses: a screen reader lists links without their row."""
    leads: dict[str, set[str]] = {}
    for link in page.select("tbody tr a[href]"):
        # What a cell of this kind shows (a number, a state) has its name from the row; actions have to say theirs.
        if link.find_parent(class_="row-actions") or link.get("aria-label"):
            leads.setdefault(str(link.get("aria-label") or _text(link)), set()).add(str(link["href"]))
    return [f"{len(urls)} links are called {name!r}" for name, urls in leads.items() if len(urls) > 1]


def _charts(page: Page) -> list[str]:
    """Return cells of which a chart would draw nothing: it reads the plain number beside the one that is written."""
    return [
        f"no data-value for the chart: {str(cell)[:120]}"
        for box in page.select("[data-chart]")
        for cell in page.select(f"#{box['data-chart']} td:not([data-value])")
    ]


def _references(page: Page, is_page: bool) -> list[str]:
    ids = Counter(element["id"] for element in page.find_all(id=True))
    problems = [f"id {name!r} occurs {n} times" for name, n in ids.items() if n > 1]
    for element in page.find_all(True):
        for attribute in ("for", "aria-describedby", "aria-labelledby", "aria-controls", "list"):
            names = str(element.get(attribute) or "").split()
            missing = [name for name in names if name not in ids]
            problems += [f"{attribute}={name!r} leads nowhere: {str(element)[:100]}" for name in missing]
        target = str(element.get("data-hx-target") or element.get("hx-target") or "")
        if is_page and target.startswith("#") and target[1:] not in ids:
            problems.append(f"htmx target {target} is not in the page")
    return problems


def _errors(page: Page) -> list[str]:
    """Return errors that are not in a focused box, linked to their control and described at the control."""
    problems = []
    ids = {str(element["id"]): element for element in page.find_all(id=True)}
    boxes = page.select(".problems")
    problems += [f"no focus on the box of problems: {str(box)[:120]}" for box in boxes if not box.has_attr("autofocus")]
    invalid = page.select("[aria-invalid=true]")
    for control in invalid:
        described = [ids[name] for name in str(control.get("aria-describedby") or "").split() if name in ids]
        if not any("field-errors" in (element.get("class") or ()) for element in described):
            problems.append(f"its error is not read out: {str(control)[:120]}")
    for errors in page.select("ul.field-errors[id]"):
        if not any(errors["id"] in str(control.get("aria-describedby") or "").split() for control in invalid):
            problems.append(f"an error at no control: {_text(errors)[:120]}")
    for link in page.select(".problems a[href^='#']"):
        target = ids.get(str(link["href"])[1:])
        if target is None or target.name not in {"input", "select", "textarea"}:
            problems.append(f"a problem is linked to no control: {link['href']}")
        elif target.get("aria-invalid") != "true":
            problems.append(f"a problem is linked to a control that is not marked: {link['href']}")
    sentences = [_text(item) for item in page.select(".problems li")]
    problems += [f"told twice: {sentence}" for sentence in set(sentences) if sentences.count(sentence) > 1]
    return problems


def _forms(page: Page) -> list[str]:
    problems = []
    for form in page.find_all("form"):
        token = form.select_one("input[name=csrf_token]")
        method = str(form.get("method", "get")).lower()
        if method == "post" and (token is None or not token.get("value")):
            problems.append(f"no CSRF token in the form to {form.get('action')!r}")
        if method == "get" and token is not None:
            problems.append(f"a CSRF token would appear in the address of {form.get('action')!r}")
        if form.select_one("input[type=file]") and form.get("enctype") != "multipart/form-data":
            problems.append(f"a file cannot be sent by the form to {form.get('action')!r}")
        if not form.select_one("button:not([type=button]), input[type=submit]"):
            problems.append(f"no button to send the form to {form.get('action')!r} without JavaScript")
    return problems


def _addresses(page: Page, app: Flask, path: str) -> list[str]:
    targets: list[tuple[str, str]] = []
    for element in page.find_all(True):
        if element.name == "a" and element.get("href"):
            targets.append(("GET", str(element["href"])))
        if element.name == "form":
            targets.append((str(element.get("method", "get")).upper(), str(element.get("action") or path)))
        if element.name in {"button", "input"} and element.get("formaction"):
            targets.append(("POST", str(element["formaction"])))
        for verb in HX_VERBS:
            url = element.get(f"data-hx-{verb}") or element.get(f"hx-{verb}")
            if url is not None:
                targets.append((verb.upper(), str(url or path)))
    problems = []
    routes = app.url_map.bind("localhost")
    for method, url in targets:
        parts = urlsplit(urljoin("http://localhost" + path, url))
        if parts.scheme not in {"http", "https"} or parts.netloc != "localhost" or url.startswith("#"):
            continue
        if IN_ADDRESS.search(url):
            problems.append("a whole phone number is in an address")
        try:
            routes.match(parts.path, method=method)
        except RequestRedirect:
            pass
        except MethodNotAllowed:
            problems.append(f"{method} {url} is not allowed there")
        except HTTPException:
            problems.append(f"{method} {url} leads nowhere")
    return problems


def _inline(page: Page) -> list[str]:
    problems = ["a <style> element" for _style in page.find_all("style")]
    problems += [f"an inline script: {str(script)[:80]}" for script in page.find_all("script") if not script.get("src")]
    for element in page.find_all(True):
        for name, value in element.attrs.items():
            if name == "style" or name.startswith("on"):
                problems.append(f"{name}= on {str(element)[:80]}")
            if "hx-on" in name or (name.endswith("hx-vals") and str(value).startswith(("js:", "javascript:"))):
                problems.append(f"{name}= needs eval: {str(element)[:80]}")
            if name.endswith("hx-trigger") and "[" in re.sub(r"from:[^,]*", "", str(value)):
                problems.append(f"a filter in {name}= needs eval: {value}")
            if name.endswith(("hx-headers", "hx-vals")) and not str(value).startswith(("js:", "javascript:")):
                json.loads(str(value))
    for element in page.select("script[src], link[href], img[src]"):
        source = str(element.get("src") or element.get("href"))
        if urlsplit(source).netloc:
            problems.append(f"loaded from elsewhere: {source}")
    return problems


def _headers_of(response: TestResponse) -> list[str]:
    problems = []
    policy = response.headers.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or "unsafe" in policy:
        problems.append(f"Content-Security-Policy is {policy!r}")
    if response.headers.get("X-Content-Type-Options") != "nosniff":
        problems.append("no nosniff")
    if "no-store" not in response.headers.get("Cache-Control", ""):
        problems.append("a person's page may be kept in a cache")
    return problems


def _secrets(page: Page, app: Flask, sees_numbers: bool) -> list[str]:
    text = page.response.get_data(as_text=True)
    problems = [
        f"{mark!r} is in the page" for mark in (*NOT_FOR_READERS, str(app.config["SECRET_KEY"])) if mark in text
    ]
    problems += ["a cell says None" for cell in page.select("td, dd") if _text(cell) == "None"]
    if not sees_numbers and WHOLE_NUMBER.search(page.get_text(" ")):
        problems.append("a whole phone number is shown to somebody who may not see it")
    return problems


@pytest.fixture
def client(app: Flask) -> Pages:
    """The strict page client, not signed in; `client.as_("operator")` is."""
    return Pages(app)
