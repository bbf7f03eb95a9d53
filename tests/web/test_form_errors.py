"""A walk over every page with a form: whatever is typed, the page says what is wrong at its field, and keeps it.

tests/pages.py looks at each answer: the box of problems has the focus, its links lead to marked controls, and every
error is read out at one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bs4 import Tag
from flask import Flask

from smsapp.domain.api_key import Scope
from smsapp.domain.trust import KeyKind
from smsapp.domain.webhook import OFFERED
from smsapp.services.apps import app_keys, webhooks
from smsapp.services.channels import registry
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.runs.runs import Run
from tests import builders
from tests.pages import Page, Pages

NOW = builders.LONG_AGO
WITHOUT_FIELDS = {
    "callbacks.take",  # for providers
    "up.up",  # for apps
    "users.sign_in",  # nobody is signed in there: tests/web/test_users.py
    "users.welcome",  # likewise, and its token is used up
    "runs.accept",  # only for a run that is held: tests/web/test_approvals.py
    "runs.accept_audience",  # likewise: tests/web/test_runs.py
    "runs.accept_registration",  # likewise: tests/web/test_registrations.py
    "unconfirmed.decide",  # only while there are unconfirmed messages: tests/web/test_unconfirmed.py
}
"""Pages that this walk does not open, each with the reason."""
TYPED = {"text", "search", "number", "tel", "url", "date", "time", "email", "password", ""}
NASTY = "\u202e<b>'\"&amp; ½ {x} ${y} 【】\x00\r\nzwei"


def filled(form: Tag) -> dict[str, list[str]]:
    """Return what the form would send as it stands."""
    fields: dict[str, list[str]] = {}
    for control in form.select("input[name], select[name], textarea[name]"):
        name, kind = str(control["name"]), str(control.get("type", ""))
        if control.name == "select":
            chosen = control.select("option[selected]") or control.select("option")[:1]
            fields.setdefault(name, []).extend(str(option.get("value", option.get_text())) for option in chosen)
        elif control.name == "textarea":
            fields.setdefault(name, []).append(control.get_text().removeprefix("\n"))
        elif kind not in {"checkbox", "radio"} or control.has_attr("checked"):
            fields.setdefault(name, []).append(str(control.get("value", "")))
    return fields


def typed_names(form: Tag) -> list[str]:
    """Return the names of the fields somebody can write into."""
    controls = form.select("input[name], textarea[name]")
    return [
        str(element["name"]) for element in controls if element.name == "textarea" or element.get("type", "") in TYPED
    ]


def chosen_names(form: Tag) -> list[str]:
    radios = form.select("input[type=radio][name], input[type=checkbox][name]")
    return [str(element["name"]) for element in [*form.select("select[name]"), *radios]]


VARIANTS: dict[str, Callable[[Tag], dict[str, str]]] = {
    "nothing": lambda form: dict.fromkeys(typed_names(form), ""),
    "far too long": lambda form: dict.fromkeys(typed_names(form), "长" * 25_000),
    "nasty": lambda form: dict.fromkeys(typed_names(form), NASTY),
    "no number": lambda form: dict.fromkeys(typed_names(form), "1e400"),
    "not a number": lambda form: dict.fromkeys(typed_names(form), "NaN"),
    "below": lambda form: dict.fromkeys(typed_names(form), "-1"),
    "the last day": lambda form: dict.fromkeys(typed_names(form), "9999-12-31"),
    "no time": lambda form: dict.fromkeys(typed_names(form), "25:61"),
    "no choice": lambda form: dict.fromkeys(chosen_names(form), "999999999999"),
    "words for choices": lambda form: dict.fromkeys(chosen_names(form), "<x>"),
}


@pytest.fixture
def addresses(app: Flask) -> dict[str, Any]:
    """What stands in the addresses of the pages."""
    channel = builders.channel()
    template = builders.template(channel.id, text="您好${name}，欢迎。", purpose="notification")
    segment = builders.segment()
    waiting = builders.campaign(status="waiting", next_due_at=clock.now(), channel_id=channel.id)
    campaign = builders.campaign(channel_id=channel.id, template_id=template.id, segment_id=segment.id)
    run = builders.kept(Run(campaign_id=campaign.id, slot=NOW, state="done", channel_id=channel.id, opened_at=NOW))
    builders.known_property("city")
    builders.known_property("age", type="number")
    opt_out = builders.kept(OptOut(phone="+8613800138000", at=NOW, source="manual", note=""))
    reply = builders.kept(
        Reply(channel_id=channel.id, phone="", text="TD", sender="x", waits=True, received_at=NOW, opt_out=True)
    )
    key = app_keys.create("App", KeyKind.SERVER, Actor("test"), clock.now())
    # an API key with the same id, for the pages of those
    api_keys.create("CRM", [Scope.READ], Actor("test"), clock.now())
    return {
        "campaign_id": campaign.id,
        "run_id": run.id,
        "waiting_id": waiting.id,
        "channel_id": channel.id,
        "template_id": template.id,
        "segment_id": segment.id,
        "item": "segment",
        "item_id": segment.id,
        "tag_id": builders.tag("门店").id,
        "user_id": builders.person().id,
        "opt_out_id": opt_out.id,
        "reply_id": reply.id,
        "key_id": key.id,
        "webhook_id": webhooks.create("CRM", "https://crm.example/", OFFERED, Actor("test"), clock.now())[0].id,
        "contact_id": builders.contact(phone="+8613800138001").id,
    }


def pages(app: Flask, known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (endpoint, address) of every page that takes a form at its own address."""
    urls = app.url_map.bind("localhost")
    for rule in sorted(app.url_map.iter_rules(), key=str):
        if not {"GET", "POST"} <= (rule.methods or set()) or rule.endpoint in WITHOUT_FIELDS:
            continue
        if "kind" in rule.arguments:
            yield from ((rule.endpoint, urls.build(rule.endpoint, {"kind": kind})) for kind in sorted(registry.kinds()))
            continue
        values = known | dict(rule.defaults or {})
        missing = rule.arguments - values.keys()
        assert not missing, f"say in `addresses` what {missing} of {rule} is, so that this page is walked over, too"
        yield rule.endpoint, urls.build(rule.endpoint, {name: values[name] for name in rule.arguments})


def kept_values(answer: Page, sent: dict[str, Any]) -> list[str]:
    """Return the fields of the form that came back whose text is not what was typed."""
    lost = []
    for control in answer.select("main form input[name], main form textarea[name]"):
        name = str(control["name"])
        if name not in sent or control.get("type", "") not in {"", "text", "search", "tel", "url"}:
            continue
        value = control.get_text() if control.name == "textarea" else str(control.get("value", ""))
        if "".join(sent[name]).strip("\x00\r\n ") and not value.strip():
            lost.append(name)
    return lost


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_form_says_what_is_wrong_and_keeps_what_was_typed(
    app: Flask, client: Pages, addresses: dict[str, Any], variant: str
) -> None:
    """Given any page with a form, when it is sent with this, then it is taken or comes back whole, with its reasons."""
    ada = client.as_("administrator", locale="en")
    wrong = []
    for endpoint, address in pages(app, addresses):
        page = ada.get(address)
        form = next((element for element in page.select("main form[method=post]") if typed_names(element)), None)
        if form is None or form.select_one("input[type=file]"):
            continue
        fields: dict[str, Any] = {**filled(form), **VARIANTS[variant](form)}
        fields.pop("csrf_token", None)
        target = str(form.get("action") or address)
        answer = Page.of(ada.raw.post(target, data=fields | {"csrf_token": ada.token()}))
        status = answer.response.status_code
        if status not in {200, 303, 400, 404, 409, 413, 422, 429}:
            wrong.append(f"{endpoint}: {status}")
        if status == 422:
            try:
                checked = ada._checked(answer.response, 422, False, False)
            except AssertionError as error:
                wrong.append(f"{endpoint}: {error}")
                continue
            if not checked.select(".problems"):
                wrong.append(f"{endpoint}: nothing is said")
            sent = {name: fields[name] for name in typed_names(form) if name in fields}
            wrong += [f"{endpoint}: {name} is empty again" for name in kept_values(checked, sent)]
    assert not wrong, "\n".join(wrong)
