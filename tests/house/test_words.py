"""Every sentence a person may see exists in Chinese, and every code has a sentence."""

from __future__ import annotations

import ast
import importlib
import re
from enum import Enum
from typing import Any

import pytest
import sqlalchemy as sa
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from config import HERE
from smsapp import labels
from smsapp.domain.headline import Say
from smsapp.domain.run import (
    HOLD_RULES,
    CancelReason,
    FailoverReason,
    HoldReason,
    PinReason,
    RunFailure,
    RunStanding,
    RunVerdict,
)
from smsapp.domain.trust import Origin
from smsapp.labels import channels, failover, general, headlines, reports
from smsapp.store.channels.channel_health import ChannelCall
from tests.house.source import product

KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "_l": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    path = HERE / "smsapp" / "translations" / "zh_Hans" / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def texts(entry: object) -> tuple[str, ...]:
    return tuple(entry) if isinstance(entry, list | tuple) else (str(entry),)


def test_no_code_takes_the_word_of_another() -> None:
    """Given two enums with the same value in one mapping, when they have words of their own, then one would be lost."""
    lost = []
    for source in product():
        if not source.module.startswith("smsapp.labels."):
            continue
        module = importlib.import_module(source.module)
        for mapping in (node for node in ast.walk(source.tree) if isinstance(node, ast.Dict)):
            word_of: dict[str, str] = {}
            for key, word in zip(mapping.keys, mapping.values, strict=True):
                if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name):
                    code = str(getattr(getattr(module, key.value.id), key.attr))
                    if word_of.setdefault(code, ast.unparse(word)) != ast.unparse(word):
                        lost.append(f"{source.name}:{key.lineno}: {ast.unparse(key)} is “{code}”, as a key before it")
    assert not lost, "\n".join(lost)


def test_every_sentence_is_translated(chinese: Catalog) -> None:
    open_entries = [
        message.id for message in chinese if message.id and (message.fuzzy or not all(texts(message.string)))
    ]
    assert not open_entries, open_entries


def test_translations_keep_their_parameters(chinese: Catalog) -> None:
    wrong = []
    for message in chinese:
        if not message.id:
            continue
        placeholders = set(PLACEHOLDER.findall(texts(message.id)[-1]))
        wrong += [(message.id, text) for text in texts(message.string) if set(PLACEHOLDER.findall(text)) - placeholders]
    assert not wrong, wrong


def test_the_catalogue_knows_every_sentence_of_code_and_pages(chinese: Catalog) -> None:
    with (HERE / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # Babel has no types here
    messages = list(extract_from_dir(HERE, methods, options, keywords=KEYWORDS))
    missing = sorted({texts(message)[0] for _, _, message, _, _ in messages if texts(message)[0] not in chinese})
    assert not missing, missing
    plural = [message for _, _, message, _, _ in messages if isinstance(message, tuple)]
    unpaired = sorted({message[0] for message in plural if not chinese[message[0]].pluralizable})
    assert not unpaired, f"translated as a singular only, so shown in English: {unpaired}"


def test_every_problem_has_a_sentence() -> None:
    codes = set()
    for source in product():
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Problem" and node.args):
                continue
            if isinstance(node.args[0], ast.Constant):
                codes.add(str(node.args[0].value))
    silent = sorted(codes - set(labels.PROBLEMS))
    assert not silent, silent


def test_no_constant_goes_through_a_filter_that_speaks_the_readers_language() -> None:
    # Jinja would fill it in once for all readers, in the language of the first one.
    constant = re.compile(r"""["'][^"'{}]*["']\s*\|\s*(?:label|sentence)\b""")
    matches = [
        f"{path.relative_to(HERE)}: {match[0]}"
        for path in sorted((HERE / "smsapp" / "templates").rglob("*.html"))
        for match in constant.finditer(path.read_text())
    ]
    assert not matches, matches


def log_entries() -> list[ast.Call]:
    """Return every call that adds an entry to the audit log."""
    calls = [node for source in product() for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if ast.unparse(call.func) in {"log_action", "audit_log.log_action"} and len(call.args) > 4
    ]


def test_every_detail_of_the_audit_log_has_a_word() -> None:
    named = {keyword.arg for call in log_entries() for keyword in call.keywords if keyword.arg}
    assert len(named) > 10
    assert not named - general.FACTS.keys()


def test_every_action_of_the_audit_log_has_a_word() -> None:
    logged = [call.args[2] for call in log_entries()]
    choices = [
        choice
        for action in logged
        for choice in ((action.body, action.orelse) if isinstance(action, ast.IfExp) else (action,))
    ]
    actions = {choice.value for choice in choices if isinstance(choice, ast.Constant)}
    assert len(actions) > 20
    assert not actions - general.DONE.keys()


RETIRED_CHINESE = (
    *(
        "状态报告",
        "供应商",
        "联系人",
        "账户",
        "操作记录",
        "操作审计",
        "为真",
        "为假",
        "早于 %(length)",
        "暂缓",
        "「",
        "」",
        "虚拟账",
        "消息名称",
    ),
    *("短信 %(", "创建短信", "删除 %(num)s 条短信", "另存为新短信"),
)
"""Retired words for things that have one word now; see docs/ui.md "One word for one thing"."""
RETIRED_ENGLISH = re.compile(
    r"\b(?:mend\w*|in doubt|doubts?|worth it|no use|nobody is missing|effect|whoever|made-up|audit state|audit trail"
    r"|(?:is|are) left out|decide about|leaves? the house|new message|no messages yet)\b",
    re.IGNORECASE,
)
KEPT_ENGLISH = {"“%(column)s” means the same as a column before it; it was left out."}
HAN = "\u3400-\u9fff"
FULL = "“”（）：，。；！？、【】"
HALF_WIDTH = re.compile(
    rf"[{HAN}{FULL}]\s?[,;:!?()]|[,;:!?()]\s?[{HAN}]|[{HAN}]\.(?![a-z])|[{HAN}]\s[{FULL}]|[：，。；（）、]\s|你(?!好)"
)
A_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")


def test_retired_words_stay_out_of_chinese(chinese: Catalog) -> None:
    written = [
        (text, word) for entry in chinese if entry.id for text in texts(entry.string) for word in RETIRED_CHINESE
    ]
    assert not [(text, word) for text, word in written if word in text]


def test_chinese_is_written_with_full_width_punctuation(chinese: Catalog) -> None:
    written = [
        A_TIME.sub("0", PLACEHOLDER.sub("字", text)) for entry in chinese if entry.id for text in texts(entry.string)
    ]
    wrong = [text for text in written if HALF_WIDTH.search(text)]
    assert not wrong, wrong


def test_a_chinese_sentence_ends_as_the_english_one_does(chinese: Catalog) -> None:
    pairs = [
        (english, translation)
        for entry in chinese
        if entry.id
        for english, translation in zip(texts(entry.id), texts(entry.string), strict=False)
        if len(english) > 1
    ]
    half = [
        translation
        for english, translation in pairs
        if translation.endswith((".", "?", "!")) and re.search(f"[{HAN}]", translation)
    ]
    bare = [
        (english, translation)
        for english, translation in pairs
        if english.endswith((".", "?", "!")) and re.search(f"[{HAN}]$", translation)
    ]
    assert not half, half
    assert not bare, bare


def test_retired_words_stay_out_of_english(chinese: Catalog) -> None:
    written = [text for entry in chinese if entry.id for text in texts(entry.id) if text not in KEPT_ENGLISH]
    wrong = [text for text in written if RETIRED_ENGLISH.search(text)]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("texts_by_member", "members"),
    [
        (reports.HOLDS, HoldReason),
        (reports.FAILURES, RunFailure),
        (reports.STANDINGS, RunStanding),
        (reports.ORIGINS, Origin),
        (headlines.SENTENCES, Say),
        (reports.VERDICTS, RunVerdict),
        (reports.CANCELLED, CancelReason),
        (failover.STAYS, PinReason),
    ],
    ids=["holds", "failures", "standings", "origins", "headlines", "verdicts", "cancelled", "pins"],
)
def test_every_member_of_a_run_has_words_and_every_word_a_member(
    texts_by_member: dict[Any, Any], members: type[Enum]
) -> None:
    assert set(texts_by_member) == set(members)
    assert {type(key) for key in texts_by_member} == {members}


def test_every_failover_has_words() -> None:
    moving = {reason for reason, rule in HOLD_RULES.items() if rule.may_fail_over}
    assert set(failover.ROUTES) <= moving | set(FailoverReason)
    assert moving | set(FailoverReason) <= set(failover.ROUTES) | set(reports.HOLDS)


def test_every_call_of_a_provider_has_a_word_and_fits_its_column() -> None:
    calls = {
        str(node.args[0].value)
        for source in product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("trial.call")
        if isinstance(node.args[0], ast.Constant)
    }
    assert calls
    assert calls <= channels.WHAT.keys()
    column = ChannelCall.__table__.c.what.type
    assert isinstance(column, sa.String)
    assert max(map(len, channels.WHAT)) <= (column.length or 0)
