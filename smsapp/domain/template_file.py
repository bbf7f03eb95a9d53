"""The meaning of columns and words in a file of SMS templates, in Chinese and English."""

from __future__ import annotations

import difflib
import enum
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import Audit, Entry, Purpose, entry
from smsapp.domain.template_problems import asks_to_unsubscribe

COLUMNS: dict[str, tuple[str, ...]] = {
    "code": ("模板编号", "code", "编号", "模板code", "模板id", "template code", "template id", "id"),
    "name": ("名称", "name", "模板名称", "template name", "title"),
    "text": ("内容", "text", "模板内容", "短信内容", "content", "template content", "body"),
    "signature": ("签名", "signature", "短信签名", "签名名称", "sign", "sign name", "signature name"),
    "purpose": ("类型", "purpose", "模板类型", "短信类型", "type", "template type"),
    "status": ("审核状态", "status", "状态", "audit", "audit status", "template status"),
    "reason": ("原因", "reason", "审核原因", "驳回原因", "audit reason"),
}
"""Our column -> its names in files; the first two are our own, in Chinese and English."""

PURPOSES: dict[Purpose, tuple[str, ...]] = {
    Purpose.MARKETING: ("marketing", "营销", "推广", "营销短信", "推广短信", "会员营销", "promotion", "promotional"),
    Purpose.NOTIFICATION: ("notification", "通知", "短信通知", "通知短信", "行业通知", "notice", "transactional"),
    Purpose.VERIFICATION: ("verification", "验证码", "验证码短信", "otp", "verification code"),
}
AUDITS: dict[Audit, tuple[str, ...]] = {
    Audit.PENDING: ("pending", "待审核", "审核中", "auditing", "approving", "audit_state_init"),
    Audit.APPROVED: ("approved", "审核通过", "通过", "已通过", "pass", "passed", "audit_state_pass"),
    Audit.REFUSED: (
        *("refused", "审核不通过", "不通过", "未通过", "审核未通过", "驳回", "已驳回", "拒绝", "已拒绝"),
        *("rejected", "failed", "audit_state_not_pass", "撤回", "已撤回", "withdrawn", "cancelled"),
        *("audit_state_cancel", "audit_sate_cancel"),
    ),
}


class Fate(enum.StrEnum):
    """The result for a row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class TemplateField(enum.StrEnum):
    """The fields of a template that an import can change."""

    CODE = "code"
    NAME = "name"
    TEXT = "text"
    SIGNATURE = "signature"
    PURPOSE = "purpose"
    AUDIT = "audit"


@dataclass(frozen=True)
class Record:
    """One row of a file: its number as a spreadsheet counts, and the cells of its known columns."""

    row: int
    values: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    """Why the row could not be read."""


@dataclass(frozen=True)
class Reading:
    """The template in a record; `entry` is None if it cannot be kept, `audit` is None if the file does not say it."""

    entry: Entry | None
    audit: Audit | None
    reason: str
    problems: tuple[Problem, ...] = ()


def _key(word: str) -> str:
    plain = unicodedata.normalize("NFKC", word).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _keys(words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {_key(alias): meaning for meaning, aliases in words.items() for alias in aliases}


_COLUMN_OF = _keys(COLUMNS)
_PURPOSE_OF = _keys({purpose.value: aliases for purpose, aliases in PURPOSES.items()})
_AUDIT_OF = _keys({audit.value: aliases for audit, aliases in AUDITS.items()})


def column(header: str) -> str | None:
    """Return the column of ours that a header names, or None."""
    return _COLUMN_OF.get(_key(header))


def header_problems(headers: Iterable[str]) -> list[Problem]:
    """Return the problems of these headers: unknown columns, and two headers for the same column."""
    problems, seen = [], set()
    for header in headers:
        meaning = column(header)
        if meaning in seen:
            problems.append(Problem("template_column_twice", header, {"column": header}))
        elif meaning is not None:
            seen.add(meaning)
        elif _key(header):
            near = difflib.get_close_matches(_key(header), _COLUMN_OF, n=1, cutoff=0.7)
            facts = {"column": header, "known": ", ".join(COLUMNS)}
            problems.append(
                Problem("template_column_misspelt", header, facts | {"near": _COLUMN_OF[near[0]]})
                if near
                else Problem("template_column_unknown", header, facts)
            )
    return problems


def read(record: Record, *, with_code: bool) -> Reading:
    """Return the template in a record; `with_code`: the file has a column of codes, so an empty code is a problem."""
    values, problems = record.values, list(record.problems)
    text, reason = values.get("text", ""), values.get("reason", "").strip()
    if with_code and not problems and not values.get("code", "").strip():
        problems.append(Problem("template_code_missing", "code"))
    purpose = _meaning(values, "purpose", _PURPOSE_OF, problems)
    audit = _meaning(values, "status", _AUDIT_OF, problems)
    if problems:
        return Reading(None, None, reason, tuple(problems))
    # Carriers require unsubscribe words in marketing texts and forbid them in all others, so the words decide.
    default_purpose = Purpose.MARKETING if asks_to_unsubscribe(text) else Purpose.NOTIFICATION
    draft = entry(
        code=values.get("code", ""),
        name=values.get("name", "") or values.get("code", "") or text.strip()[:20],
        text=text,
        signature=values.get("signature", ""),
        purpose=Purpose(purpose) if purpose else default_purpose,
    )
    return Reading(draft, Audit(audit) if audit else None, reason)


def _meaning(values: Mapping[str, str], name: str, words: Mapping[str, str], problems: list[Problem]) -> str:
    """Return the meaning of a cell, "" for an empty one; an unknown word is added to `problems`."""
    word = values.get(name, "").strip()
    meaning = words.get(_key(word), "") if word else ""
    if word and not meaning:
        problems.append(Problem(f"template_{name}_unknown", name, {"word": word[:40]}))
    return meaning
