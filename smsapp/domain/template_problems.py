"""What carriers and providers object to in an SMS template, as problems and warnings."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from smsapp.domain.billed_parts import characters
from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import LONGEST_NAME, VARIABLE, Entry, Purpose, Style, full_text

_ATTEMPT = re.compile(r"\$?\{[^{}\n]{0,40}\}|\$\{[^{}\n]{0,12}")
"""Text that looks like a variable and is not one."""
_BRACE = re.compile(r"[^{}\n]{0,8}([{}])[^{}\n]{0,8}")
LONGEST_TEXT = 500
UNSUBSCRIBE = "拒收请回复R"
"""The one wording that all Chinese carriers accept today; it counts towards the length."""

_UNSUBSCRIBE_NOW = re.compile(r"拒收请回复r(?![a-z])")
_UNSUBSCRIBE_BEFORE = re.compile(r"(?:退订|拒收)请?回复?[a-z]{1,2}(?![a-z])|回复?[a-z]{1,2}(?:退订|拒收)")
_UNSUBSCRIBE_ABROAD = re.compile(r"\b(?:stop|unsubscribe|opt[ -]?out)\b", re.IGNORECASE)
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_SIGNATURE = re.compile(r"[^\W_]{2,32}")
USUAL_SIGNATURE = 12
"""Longer signatures are registered (a company's full name), but some providers take no more."""


def entry_problems(draft: Entry, style: Style | None = None) -> list[Problem]:
    """Return the problems and warnings of this entry, in the order of the form's fields."""
    field_problems = []
    if not draft.name:
        field_problems.append(Problem("template_name_missing", "name"))
    for place, value in (("code", draft.code), ("name", draft.name)):
        if len(value) > LONGEST_NAME:
            field_problems.append(
                Problem("template_value_too_long", place, {"length": len(value), "most": LONGEST_NAME})
            )
    return field_problems + problems(draft.text, draft.signature, draft.purpose, style)


def problems(text: str, signature: str, purpose: Purpose, style: Style | None = None) -> list[Problem]:
    """Return what carriers and providers object to; `style` is the notation the channel demands, or None.

    Warnings do not prevent saving: they name what some providers refuse.
    """
    all_problems = [*_text_problems(text), *_variable_problems(text, style), *_purpose_problems(text, purpose)]
    length = characters(full_text(signature, text))
    if length > LONGEST_TEXT:
        all_problems.append(Problem("template_text_too_long", "text", {"length": length, "most": LONGEST_TEXT}))
    if not signature:
        all_problems.append(Problem("signature_missing", "signature", warning=True))
    elif _SIGNATURE.fullmatch(signature) is None:
        all_problems.append(Problem("signature_unusable", "signature"))
    elif len(signature) > USUAL_SIGNATURE:
        facts = {"length": len(signature), "usual": USUAL_SIGNATURE}
        all_problems.append(Problem("signature_long", "signature", facts, warning=True))
    return all_problems


def _text_problems(text: str) -> list[Problem]:
    if not text.strip():
        return [Problem("template_text_missing", "text")]
    problems = []
    if "【" in text or "】" in text:
        problems.append(Problem("brackets_in_text", "text"))
    remaining = VARIABLE.sub("\n", text)
    problems += [Problem("brace_unclear", "text", {"near": attempt[0]}) for attempt in _ATTEMPT.finditer(remaining)]
    alone = _BRACE.finditer(_ATTEMPT.sub("\n", remaining))
    return problems + [Problem("brace_alone", "text", {"brace": match[1], "near": match[0].strip()}) for match in alone]


def _variable_problems(text: str, style: Style | None) -> list[Problem]:
    problems = []
    named = {match[1] for match in VARIABLE.finditer(text) if match[1]}
    numbered = {int(match[2]) for match in VARIABLE.finditer(text) if match[2]}
    if named and numbered:
        problems.append(Problem("variables_mixed", "text"))
    elif named and style is Style.NUMBERED:
        problems.append(Problem("variables_must_be_numbered", "text"))
    elif numbered and style is Style.NAMED:
        problems.append(Problem("variables_must_be_named", "text"))
    gaps = set(range(1, max(numbered, default=0) + 1)) - numbered
    if gaps:
        missing = ", ".join(f"{{{number}}}" for number in sorted(gaps))
        problems.append(Problem("variable_numbers_gap", "text", {"missing": missing}))
    matches = list(VARIABLE.finditer(text))
    for first, second in pairwise(matches):
        if first.end() == second.start():
            problems.append(Problem("variables_adjacent", "text", {"first": first[0], "second": second[0]}))
    if matches and not VARIABLE.sub("", text).strip():
        problems.append(Problem("text_only_variable", "text"))
    uses = [match[0] for match in matches]
    repeated = dict.fromkeys(name for name in uses if uses.count(name) > 1)
    return problems + [Problem("variable_repeated", "text", {"variable": name}, warning=True) for name in repeated]


def asks_to_unsubscribe(text: str) -> bool:
    """Return whether the text says how to unsubscribe, which marketing texts must do and others may."""
    plain = _plain(text)
    return bool(_UNSUBSCRIBE_NOW.search(plain) or _UNSUBSCRIBE_BEFORE.search(plain))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _purpose_problems(text: str, purpose: Purpose) -> list[Problem]:
    if purpose is Purpose.UNSAID:
        return []
    if purpose is not Purpose.MARKETING:
        out_of_place = asks_to_unsubscribe(text)
        # Some carriers ask for these words at the end of every text, so they are no fault.
        advice = Problem("unsubscribe_out_of_place", "text", {"purpose": purpose}, warning=True)
        return [advice] if out_of_place else []
    plain = _plain(text)
    now, before = _UNSUBSCRIBE_NOW.search(plain), _UNSUBSCRIBE_BEFORE.search(plain)
    if now:
        last = not plain[now.end() :].strip("。.!！;；,，~")
        return [] if last else [Problem("unsubscribe_not_last", "text", {"words": UNSUBSCRIBE}, warning=True)]
    if before:
        return [Problem("unsubscribe_old", "text", {"found": before[0].upper(), "words": UNSUBSCRIBE}, warning=True)]
    if not _CHINESE.search(text) and _UNSUBSCRIBE_ABROAD.search(text):
        return []
    return [Problem("unsubscribe_missing", "text", {"words": UNSUBSCRIBE})] if text.strip() else []
