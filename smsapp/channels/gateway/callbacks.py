"""Reading callbacks: receipts and replies, under the names and with the values that the settings give."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels._numbers import e164
from smsapp.channels._setting import Values, read_outcome
from smsapp.channels.gateway.notation import STEP, as_text, comma_separated, lines, walk
from smsapp.channels.smpp.receipts import smsc_code
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply
from smsapp.domain.outcome import Outcome

MOST_FIELDS = 1000
"""Parameters of one callback that are read."""
UCS2 = {"8", "\x08"}
"""SMPP's data coding of 16-bit text, as a digit and as Jasmin writes it."""

Fields = Callable[[str], str | None]
"""Returns the value of a parameter, or at a path of a JSON object; None if it is missing."""


class CallbackReader:
    """Reads callbacks as the settings describe. `shared_ref`: all messages of a request have one reference."""

    def __init__(self, values: Values, *, shared_ref: bool) -> None:
        self._settings = values
        self._shared_ref = shared_ref
        self._statuses = {
            **dict.fromkeys(comma_separated(values["waiting_values"]), ReceiptStatus.ACCEPTED),
            **dict.fromkeys(comma_separated(values["undelivered_values"]), ReceiptStatus.UNDELIVERED),
            **dict.fromkeys(comma_separated(values["delivered_values"]), ReceiptStatus.DELIVERED),
        }
        self._outcomes = dict(read_outcome(line) for line in lines(values["receipt_outcomes"]))

    def read(self, callback: Callback, country: str) -> list[Receipt | Reply]:
        """Return the receipt or reply in the parameters, or all in a JSON body; raises ValueError.

        `country` is the region code whose national numbers are written without their calling code.
        """
        if self._settings["receipt_format"] == "parameters":
            return [self._read_one(dict(_parameters(callback, self._settings["charset"])).get, country)]
        parsed = json.loads(callback.body)
        if self._settings["receipt_list"]:
            parsed = walk(parsed, _steps(self._settings["receipt_list"]))
        items = parsed if isinstance(parsed, list) else [parsed]
        if not all(isinstance(item, dict) for item in items):
            raise ValueError("a receipt is a JSON object")
        return [self._read_one(_at_paths(item), country) for item in items]

    def _read_one(self, fields: Fields, country: str) -> Receipt | Reply:
        def value(setting: str) -> str:
            name = self._settings[setting]
            return (fields(name) or "").strip() if name else ""

        if self._settings["reply_text"] and fields(self._settings["reply_text"]) is not None:
            text = value("reply_text")
            if value("reply_coding") in UCS2:
                text = bytes.fromhex(value("reply_hex")).decode("utf-16-be", "replace").strip()
            sender = value("reply_phone")
            return Reply(e164(sender, country) or sender, text, provider_ref=value("receipt_id"))
        reported = value("receipt_status")
        ref, provider_ref = value("receipt_ref"), value("receipt_id")
        if not reported or not (ref or provider_ref):
            raise ValueError("no status, or nothing that names a message")
        # An undescribed status proves neither outcome: the message stays accepted and the word is kept as its code.
        status = self._statuses.get(reported, ReceiptStatus.ACCEPTED)
        code = value("receipt_code") or reported
        smsc_outcome: Outcome | None = None
        if self._settings["receipt_code_form"] == "smsc":
            code, smsc_outcome = smsc_code(code)
        outcome = None
        if status is ReceiptStatus.UNDELIVERED:
            outcome = self._outcomes.get(code) or self._outcomes.get(reported) or smsc_outcome or Outcome.UNKNOWN
        if self._shared_ref and ref:
            ref, provider_ref = "", ref
        return Receipt(status, ref, provider_ref, e164(value("receipt_phone"), country), outcome, code[:CODE_LENGTH])


def _steps(path: str) -> list[str]:
    return STEP.findall(path.removeprefix("$"))


def _at_paths(item: Any) -> Fields:
    return lambda path: as_text(walk(item, _steps(path)))


def _parameters(callback: Callback, charset: str) -> list[tuple[str, str]]:
    """Return query and form parameters together."""
    options: dict[str, Any] = {"keep_blank_values": True, "encoding": charset, "errors": "replace"}
    parameters = parse_qsl(callback.query, max_num_fields=MOST_FIELDS, **options)
    if callback.body:
        parameters += parse_qsl(callback.body.decode(charset, "replace"), max_num_fields=MOST_FIELDS, **options)
    return parameters
