"""Any gateway that speaks HTTP: what to call, how to read its answer and its receipts, written down in the settings.

Presets fill the form for Kannel and Jasmin. A gateway says one thing per request, so a request carries one text, to one
number or to several.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from smsapp.channels.base import (
    Acknowledgement,
    Answer,
    Callback,
    Channel,
    Misconfigured,
    News,
    Note,
    Preset,
    Receipt,
    Reply,
    Setting,
    Submission,
    Throttled,
    Unclear,
    Widget,
)
from smsapp.channels.base import msgid as _l
from smsapp.channels.notation import (
    STEP,
    Body,
    Encode,
    Place,
    Rule,
    Template,
    as_it_is,
    as_text,
    for_form,
    for_header,
    for_json,
    for_url,
    for_xml,
    lines,
    unknown_placeholders,
    walk,
    words,
)
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer, HttpClient

CODE_LENGTH = 80
RETRY_AFTER = 5.0
"""Seconds to wait when the gateway asks to slow down without saying how long."""

STATUSES: dict[int, Outcome] = {
    # what makes the channel wait for a person, as long as no rule says otherwise; 429 and 5xx are in `_unruled`
    401: Outcome.CREDENTIALS,
    402: Outcome.BALANCE,
    403: Outcome.CREDENTIALS,
    404: Outcome.OUR_FAULT,
    405: Outcome.OUR_FAULT,
    407: Outcome.CREDENTIALS,
    410: Outcome.OUR_FAULT,
    415: Outcome.OUR_FAULT,
}

BODIES: dict[str, tuple[Encode, str]] = {
    # body format: how values are written into it, and the content type
    "none": (as_it_is, ""),
    "form": (for_form, "application/x-www-form-urlencoded"),
    "json": (for_json, "application/json"),
    "xml": (for_xml, "text/xml"),
    "text": (as_it_is, "text/plain"),
}

FIXED = ("username", "password", "token", "sender")
PER_REQUEST = ("to", "text", "unsigned_text", "text_hex", "signature", "template_code", "ref", "callback_url")
PLACEHOLDERS = (*FIXED, *PER_REQUEST, "receipt_url")

REQUEST, ACCOUNT, ANSWER, RECEIPT, LIMITS = _l("Request"), _l("Account"), _l("Answer"), _l("Receipts"), _l("Limits")

PLACE = _l("A JSON path such as $.data.id, or a regular expression between slashes whose first group is the value.")

KANNEL = Preset(
    "kannel",
    "Kannel",
    {
        "method": "GET",
        "url": (
            "http://127.0.0.1:13013/cgi-bin/sendsms?username={username}&password={password}&from={sender}&to={to}"
            "&text={text}&coding=2&charset=UTF-8&dlr-mask=31&dlr-url={receipt_url}"
        ),
        "receipt_url": "{callback_url}?ref={ref}&status=%d&code=%A",
        "number_format": "e164",
        "separator": " ",
        "accepted_where": "/^[03]: /",
        "code_where": "/^[^,.0-9][^,.]*/",
        "rules": (
            "403 /Authorization failed/ = misconfigured credentials\n"
            "403 /Not routable/ = refused provider_fault\n"
            "400 /black-lists/ = refused bad_number\n"
            "400 /Sender missing|DLR-URL|receiver|Invalid/ = misconfigured our_fault"
        ),
        "check_url": "http://127.0.0.1:13013/cgi-bin/sendsms?username={username}&password={password}",
        "check_where": "/Missing receiver/",
        "receipt_format": "parameters",
        "receipt_ref": "ref",
        "receipt_status": "status",
        "receipt_code": "code",
        "delivered_values": "1",
        "undelivered_values": "2, 16",
        "waiting_values": "4, 8",
        "receipt_outcomes": (
            "NACK/0x0000000b/Invalid Destination Address = bad_number\nNACK/11/Invalid Destination Address = bad_number"
        ),
        "reply_phone": "from",
        "reply_text": "reply",
        "callback_answer": "OK",
    },
)
JASMIN = Preset(
    "jasmin",
    "Jasmin",
    {
        "method": "GET",
        "url": (
            "http://127.0.0.1:1401/send?username={username}&password={password}&from={sender}&to={to}&coding=8"
            "&hex-content={text_hex}&dlr=yes&dlr-level=3&dlr-method=GET&dlr-url={receipt_url}"
        ),
        "receipt_url": "{callback_url}?ref={ref}",
        "number_format": "digits",
        "accepted_where": '/^Success "([^"]+)"/',
        "id_where": '/^Success "([^"]+)"/',
        "code_where": '/^Error "([^"\\[:]+)/',
        "rules": (
            "403 /Authentication failure/ = misconfigured credentials\n"
            "403 /Authorization failed|quota|throughput|balance/ = misconfigured quota\n"
            "412 = refused provider_fault\n"
            "400 = misconfigured our_fault"
        ),
        "check_url": "http://127.0.0.1:1401/balance?username={username}&password={password}",
        "check_where": "$.balance",
        "receipt_format": "parameters",
        "receipt_ref": "ref",
        "receipt_id": "id",
        "receipt_status": "message_status",
        "receipt_code": "message_status",
        "delivered_values": "DELIVRD",
        "undelivered_values": "UNDELIV, EXPIRED, REJECTD, DELETED, ESME_RINVDSTADR, ESME_RSUBMITFAIL",
        "waiting_values": "ESME_ROK, ACCEPTD, ENROUTE, UNKNOWN",
        "receipt_outcomes": "EXPIRED = expired\nESME_RINVDSTADR = bad_number",
        "reply_phone": "from",
        "reply_text": "content",
        "callback_answer": "ACK/Jasmin",
    },
)


def _text(
    name: str, label: str, section: str, hint: str = "", default: str = "", widget: Widget = Widget.TEXT
) -> Setting:
    return Setting(name, label, widget, default, hint=hint, section=section)


class Gateway(Channel):
    """One request for one text; the settings say how."""

    kind = "gateway"
    label = _l("HTTP gateway")
    presets = (KANNEL, JASMIN)
    settings = (
        Setting(
            "method",
            _l("Method"),
            Widget.CHOICE,
            "POST",
            True,
            choices=(("GET", "GET"), ("POST", "POST")),
            section=REQUEST,
        ),
        Setting(
            "url",
            _l("Address"),
            Widget.LONG_TEXT,
            required=True,
            hint=_l("Values are percent-encoded where the placeholders stand."),
            section=REQUEST,
        ),
        _text("headers", _l("Headers"), REQUEST, _l("One per line, Name: value."), widget=Widget.LONG_TEXT),
        Setting(
            "body_format",
            _l("Body format"),
            Widget.CHOICE,
            "none",
            True,
            _l("Decides how values are encoded in the body, and its content type."),
            (
                ("none", _l("no body")),
                ("form", _l("form")),
                ("json", "JSON"),
                ("xml", "XML"),
                ("text", _l("plain text")),
            ),
            section=REQUEST,
        ),
        _text("body", _l("Body"), REQUEST, widget=Widget.LONG_TEXT),
        Setting(
            "charset",
            _l("Character set"),
            Widget.CHOICE,
            "utf-8",
            True,
            choices=(("utf-8", "UTF-8"), ("gb18030", "GBK / GB18030")),
            section=REQUEST,
        ),
        Setting(
            "number_format",
            _l("Numbers are written"),
            Widget.CHOICE,
            "digits",
            True,
            choices=(("e164", "+8613800138000"), ("digits", "8613800138000"), ("national", "13800138000")),
            section=REQUEST,
        ),
        _text("username", _l("User name"), ACCOUNT),
        _text("password", _l("Password"), ACCOUNT, widget=Widget.SECRET),
        _text("token", _l("Token"), ACCOUNT, _l("Another secret, for the placeholder {token}."), widget=Widget.SECRET),
        Setting(
            "basic_auth",
            _l("Send user name and password by HTTP basic authentication"),
            Widget.FLAG,
            section=ACCOUNT,
        ),
        _text(
            "sender", _l("Sender"), ACCOUNT, _l("Number or name the message comes from, for the placeholder {sender}.")
        ),
        _text(
            "check_url",
            _l("Address that checks the account"),
            ACCOUNT,
            _l("Called by GET without sending anything; empty if the gateway has none."),
            widget=Widget.LONG_TEXT,
        ),
        _text("check_where", _l("Sign of a good account"), ACCOUNT, PLACE),
        _text(
            "accepted_where",
            _l("Sign of acceptance"),
            ANSWER,
            _l("JSON path or /regular expression/. Empty: every 2xx status means accepted."),
        ),
        _text(
            "accepted_values",
            _l("Values that mean accepted"),
            ANSWER,
            _l("Separated by commas. Empty: any value found there."),
        ),
        _text("id_where", _l("The gateway's id of the message"), ANSWER, PLACE),
        _text("code_where", _l("Error code"), ANSWER, PLACE),
        _text(
            "rules",
            _l("Rules for errors"),
            ANSWER,
            _l(
                "One per line, the first that fits counts: 403 /text/ = misconfigured credentials, or 4xx code:1003 = "
                "refused bad_number. Verdicts: accepted, refused, throttled, misconfigured, unclear."
            ),
            widget=Widget.LONG_TEXT,
        ),
        _text(
            "receipt_url",
            _l("Receipt address given to the gateway"),
            RECEIPT,
            _l("Becomes the placeholder {receipt_url}. Bring {ref} back in it: receipts are found by it."),
            "{callback_url}?ref={ref}",
        ),
        Setting(
            "receipt_format",
            _l("Receipts come as"),
            Widget.CHOICE,
            "parameters",
            True,
            choices=(("parameters", _l("query or form parameters")), ("json", "JSON")),
            section=RECEIPT,
        ),
        _text(
            "receipt_list", _l("Path of the list of receipts"), RECEIPT, _l("JSON only; empty if there is one receipt.")
        ),
        _text("receipt_ref", _l("Our reference"), RECEIPT, _l("Name of the parameter, or JSON path."), "ref"),
        _text("receipt_id", _l("The gateway's id"), RECEIPT),
        _text("receipt_phone", _l("Number"), RECEIPT, _l("Needed when a request carries several numbers.")),
        _text("receipt_status", _l("Status"), RECEIPT, default="status"),
        _text("receipt_code", _l("Error code"), RECEIPT),
        _text("delivered_values", _l("Values that mean delivered"), RECEIPT, default="DELIVRD"),
        _text("undelivered_values", _l("Values that mean undelivered"), RECEIPT, default="UNDELIV, EXPIRED, REJECTD"),
        _text("waiting_values", _l("Values that mean on the way"), RECEIPT),
        _text(
            "receipt_outcomes",
            _l("What error codes mean"),
            RECEIPT,
            _l("One per line: code = outcome, for example EXPIRED = expired."),
            widget=Widget.LONG_TEXT,
        ),
        _text("reply_phone", _l("Sender of a reply"), RECEIPT, _l("Name of the parameter, or JSON path.")),
        _text("reply_text", _l("Text of a reply"), RECEIPT),
        _text("callback_answer", _l("What we answer to a receipt"), RECEIPT, default="OK"),
        Setting("per_request", _l("Numbers per request"), Widget.NUMBER, "1", True, low=1, high=1000, section=LIMITS),
        _text("separator", _l("Separator between numbers"), LIMITS, default=","),
        Setting(
            "in_flight", _l("Requests at the same time"), Widget.NUMBER, "50", True, low=1, high=500, section=LIMITS
        ),
        Setting(
            "timeout", _l("Wait for an answer, seconds"), Widget.NUMBER, "30", True, low=1, high=300, section=LIMITS
        ),
        Setting(
            "plain_http",
            _l("Allow http:// to a public host"),
            Widget.FLAG,
            hint=_l("Passwords and numbers then travel unencrypted."),
            section=LIMITS,
        ),
    )
    guide = (
        Note("{to}", _l("the number, or the numbers of the request")),
        Note("{text}", _l("the whole text with its signature")),
        Note("{unsigned_text}", _l("the text without its signature")),
        Note("{text_hex}", _l("the whole text as hexadecimal UTF-16")),
        Note("{signature}", _l("the signature without brackets")),
        Note("{template_code}", _l("the template's code at the provider")),
        Note("{ref}", _l("our reference of the message, which receipts bring back")),
        Note("{callback_url}", _l("the address of this channel for callbacks")),
        Note("{receipt_url}", _l("the receipt address below, filled in")),
        Note("{username} {password} {token} {sender}", _l("the account's settings")),
    )

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        values = {one.name: self.values.get(one.name, one.default) for one in self.settings}
        self._method = values["method"]
        self._charset = values["charset"]
        fixed = {name: values[name] for name in FIXED}
        encode, content_type = BODIES[values["body_format"]]
        self._url = Template(values["url"], for_url, self._charset, fixed)
        self._receipt_url = ("", Template("", for_url))
        self._body = None if not content_type else Template(values["body"], encode, self._charset, fixed)
        self._headers = self._read_headers(values, content_type, fixed)
        self._check_url = values["check_url"] and Template(values["check_url"], for_url, self._charset, fixed).fill({})
        self._check_where, self._accepted, self._id, self._code = (
            Place(values[name]) if values[name] else None
            for name in ("check_where", "accepted_where", "id_where", "code_where")
        )
        self._accepted_values = words(values["accepted_values"])
        self._rules = [Rule.read(line) for line in lines(values["rules"])]
        self._needed = self._url.names.union(
            self._body.names if self._body else (), *(template.names for _, template in self._headers)
        )
        self._number_format = values["number_format"]
        self._separator = values["separator"] or ","
        self._timeout = float(values["timeout"])
        self._plain_http = values["plain_http"] == "1"
        self._news = {
            **dict.fromkeys(words(values["waiting_values"]), News.ACCEPTED),
            **dict.fromkeys(words(values["undelivered_values"]), News.UNDELIVERED),
            **dict.fromkeys(words(values["delivered_values"]), News.DELIVERED),
        }
        self._outcomes = dict(_outcome(line) for line in lines(values["receipt_outcomes"]))
        self._receipt = values
        self.in_flight = int(values["in_flight"])
        self.per_request = int(values["per_request"])
        self.equal_texts_only = self.per_request > 1
        self.receipts_by_provider_ref = self.per_request > 1 or not values["receipt_ref"]

    def _read_headers(
        self, values: Mapping[str, str], content_type: str, fixed: Mapping[str, str]
    ) -> list[tuple[str, Template]]:
        found = [_header(line) for line in lines(values["headers"])]
        names = {name.lower() for name, _ in found}
        if content_type and "content-type" not in names:
            found.append(("Content-Type", f"{content_type}; charset={self._charset}"))
        if values["basic_auth"] == "1":
            pair = f"{values['username']}:{values['password']}".encode()
            found.append(("Authorization", "Basic " + base64.b64encode(pair).decode()))
        return [(name, Template(value, for_header, self._charset, fixed)) for name, value in found]

    async def send(self, submission: Submission, http: HttpClient) -> list[Answer]:
        """Make one request; everything it carries gets the same answer, because the gateway gives only one."""
        values = self._values(submission)
        answer = await http.request(
            self._method,
            self._url.fill(values),
            {name: template.fill(values) for name, template in self._headers},
            self._body.fill(values).encode(self._charset, "replace") if self._body else None,
            timeout=self._timeout,
            plain_http=self._plain_http,
        )
        found = self._read_answer(answer)
        if found.accepted and self.per_request > 1 and self._receipt["receipt_ref"]:
            # The receipts of all its numbers bring back the one reference this request was sent with.
            found = Answer(True, submission.messages[0].ref)
        return [found] * len(submission.messages)

    def _values(self, submission: Submission) -> dict[str, str]:
        first = submission.messages[0]
        template = submission.template
        values = {
            "to": self._separator.join([self._number(message.phone) for message in submission.messages]),
            "text": first.text,
            "ref": first.ref,
            "callback_url": submission.callback_url,
            "signature": template.signature,
            "template_code": template.code,
        }
        if "receipt_url" in self._needed:
            values["receipt_url"] = self._receipt_address(values)
        if "unsigned_text" in self._needed:
            values["unsigned_text"] = first.text.removeprefix(f"【{template.signature}】")
        if "text_hex" in self._needed:
            values["text_hex"] = first.text.encode("utf-16-be", "replace").hex()
        return values

    def _receipt_address(self, values: Mapping[str, str]) -> str:
        """Return the address for receipts, with everything but our own address encoded; "" if we have none."""
        address = values["callback_url"]
        if not address:
            return ""
        if self._receipt_url[0] != address:
            text = self._receipt["receipt_url"].replace("{callback_url}", address)
            self._receipt_url = (address, Template(text, for_url, self._charset))
        return self._receipt_url[1].fill(values)

    def _number(self, phone: str) -> str:
        if self._number_format == "e164":
            return phone
        if self._number_format == "national" and phone.startswith("+86"):
            return phone[3:]
        return phone[1:]

    def _read_answer(self, answer: HttpAnswer) -> Answer:
        body = Body(answer)
        code = self._code.find(body) if self._code else None
        shown = (code or f"HTTP {body.status}")[:CODE_LENGTH]
        rule = next((rule for rule in self._rules if rule.fits(body, code)), None)
        if rule is None:
            return self._unruled(answer, body, code, shown)
        if rule.verdict == "accepted":
            return self._taken(body)
        if rule.verdict == "refused":
            return Answer(False, outcome=rule.outcome or Outcome.UNKNOWN, code=shown)
        if rule.verdict == "throttled":
            raise Throttled(shown, outcome=Outcome.THROTTLED, retry_after=_retry_after(answer))
        if rule.verdict == "misconfigured":
            raise Misconfigured(shown, outcome=rule.outcome or Outcome.CREDENTIALS)
        raise Unclear(shown, outcome=rule.outcome or Outcome.UNKNOWN)

    def _unruled(self, answer: HttpAnswer, body: Body, code: str | None, shown: str) -> Answer:
        """Read an answer no rule speaks of: the meaning of HTTP's own words."""
        if body.status == 429:
            raise Throttled(shown, outcome=Outcome.THROTTLED, retry_after=_retry_after(answer))
        if body.status in STATUSES or 300 <= body.status < 400:
            raise Misconfigured(shown, outcome=STATUSES.get(body.status, Outcome.OUR_FAULT))
        if body.status >= 500:
            raise Unclear(shown, outcome=Outcome.PROVIDER_FAULT)
        if body.status >= 400:
            return Answer(False, outcome=Outcome.UNKNOWN, code=shown)
        if self._accepted is None:
            return self._taken(body)
        found = self._accepted.find(body)
        if found is None:
            raise Unclear("unreadable", outcome=Outcome.PROVIDER_FAULT)
        if self._accepted_values and found not in self._accepted_values:
            return Answer(False, outcome=Outcome.UNKNOWN, code=(code or found)[:CODE_LENGTH])
        return self._taken(body)

    def _taken(self, body: Body) -> Answer:
        return Answer(True, ((self._id.find(body) if self._id else None) or "")[:CODE_LENGTH])

    async def test_credentials(self, http: HttpClient) -> str:
        """Call the checking address; return what the gateway said, or "" if it only said yes."""
        if not self._check_url:
            return _l("This gateway has no address that checks the account; send a test message.")
        answer = await http.request(
            "GET",
            self._check_url,
            {name: template.fill({}) for name, template in self._headers if not template.names},
            timeout=self._timeout,
            plain_http=self._plain_http,
        )
        body = Body(answer)
        found = self._check_where.find(body) if self._check_where else None
        if found is not None:
            return found[:CODE_LENGTH]
        self._read_answer(answer)
        if self._check_where is not None or answer.status >= 400:
            raise Misconfigured(f"HTTP {answer.status}", outcome=Outcome.CREDENTIALS)
        return f"HTTP {answer.status}"

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipt or reply in the parameters, or those in a JSON body; raises ValueError."""
        if self._receipt["receipt_format"] == "parameters":
            return self._read_one(dict(_parameters(callback, self._charset)).get)
        found = json.loads(callback.body)
        if self._receipt["receipt_list"]:
            found = walk(found, STEP.findall(self._receipt["receipt_list"].removeprefix("$")))
        items = found if isinstance(found, list) else [found]
        news: list[Receipt | Reply] = []
        for item in items:
            if not isinstance(item, dict):
                raise ValueError("a receipt is a JSON object")
            news.extend(
                self._read_one(lambda path, item=item: as_text(walk(item, STEP.findall(path.removeprefix("$")))))
            )
        return news

    def _read_one(self, get: Any) -> list[Receipt | Reply]:
        def value(setting: str) -> str:
            name = self._receipt[setting]
            return (get(name) or "").strip() if name else ""

        phone = self._e164(value("receipt_phone"))
        if self._receipt["reply_text"] and get(self._receipt["reply_text"]) is not None:
            return [Reply(self._e164(value("reply_phone")), value("reply_text"), provider_ref=value("receipt_id"))]
        status = value("receipt_status")
        ref, provider_ref = value("receipt_ref"), value("receipt_id")
        if not status or not (ref or provider_ref):
            raise ValueError("no status, or nothing that names a message")
        # A status nobody described proves neither: the message goes on waiting, the word is kept.
        news = self._news.get(status, News.ACCEPTED)
        code = (value("receipt_code") or status)[:CODE_LENGTH]
        outcome = None
        if news is News.UNDELIVERED:
            outcome = self._outcomes.get(code) or self._outcomes.get(status) or Outcome.UNKNOWN
        if self.per_request > 1 and ref:
            ref, provider_ref = "", ref
        return [Receipt(news, ref, provider_ref, phone, outcome, code)]

    def _e164(self, raw: str) -> str:
        digits = "".join(one for one in raw if one in "0123456789")
        if not digits:
            return ""
        if self._number_format == "national" and not raw.startswith(("+", "00")) and len(digits) == 11:
            return "+86" + digits
        return "+" + digits.removeprefix("00")

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(body=self._receipt["callback_answer"].encode())

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        problems = []
        for name in ("url", "headers", "body", "receipt_url", "check_url"):
            allowed = {"check_url": FIXED, "receipt_url": PER_REQUEST}.get(name, PLACEHOLDERS)
            problems += [
                Problem("gateway_placeholder", name, {"placeholder": "{" + found + "}"})
                for found in unknown_placeholders(values.get(name, ""), allowed)
            ]
        for name in ("url", "check_url"):
            if values.get(name) and not _is_address(values[name]):
                problems.append(Problem("gateway_address", name))
        for name in ("check_where", "accepted_where", "id_where", "code_where"):
            problems += _unreadable(name, [values.get(name, "")], Place, "gateway_place")
        problems += _unreadable("rules", lines(values.get("rules", "")), Rule.read, "gateway_rule")
        problems += _unreadable(
            "receipt_outcomes", lines(values.get("receipt_outcomes", "")), _outcome, "gateway_outcome"
        )
        problems += _unreadable("headers", lines(values.get("headers", "")), _header, "gateway_header")
        if float(values.get("per_request") or 1) > 1 and not values.get("receipt_phone"):
            problems.append(Problem("gateway_batch_phone", "receipt_phone"))
        return problems


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and "{" not in parts.netloc


def _unreadable(name: str, notations: list[str], read: Any, code: str) -> list[Problem]:
    problems = []
    for notation in notations:
        try:
            if notation:
                read(notation)
        except ValueError:
            problems.append(Problem(code, name, {"line": notation}))
    return problems


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or any(char in ' \t"(),/;<=>?@[\\]{}' for char in name.strip()):
        raise ValueError(line)
    return name.strip(), value.strip()


def _outcome(line: str) -> tuple[str, Outcome]:
    code, equals, outcome = line.rpartition("=")
    if not equals or not code.strip():
        raise ValueError(line)
    return code.strip(), Outcome(outcome.strip())


def _parameters(callback: Callback, charset: str) -> list[tuple[str, str]]:
    """Return query and form parameters together."""
    found = parse_qsl(callback.query, keep_blank_values=True, encoding=charset, errors="replace")
    found += parse_qsl(
        callback.body.decode(charset, "replace"), keep_blank_values=True, encoding=charset, errors="replace"
    )
    return found


def _retry_after(answer: HttpAnswer) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", "")), 0.0), 3600.0)
    except ValueError:
        return RETRY_AFTER
