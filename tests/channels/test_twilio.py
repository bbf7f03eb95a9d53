"""Twilio: requests as its OpenAPI describes them, signatures as its own validator checks them."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from smsapp.channels._error_codes import Scope
from smsapp.channels.errors import AccountError, CallbackRefused, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.twilio.adapter import Twilio
from smsapp.channels.twilio.codes import ERROR_CODES, REPORTS
from smsapp.channels.twilio.signing import signature
from smsapp.channels.types import Balance, Callback, Receipt, ReceiptStatus, Reply, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, PHONE, HttpContract, submission
from tests.channels.wire import HERE, provider, run

SID = "AC" + "0123456789abcdef" * 2
SERVICE = "MG" + "0123456789abcdef" * 2
MESSAGE = "SM" + "a" * 32
TOKEN = f"{PASSWORD}-token"
ADDRESS = "https://sms.example.com/callbacks/tok-en"
KNOWN = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"}
HTTP = {"20003": 401, "20403": 403, "20404": 404, "20429": 429, "20500": 500, "20503": 503, "20504": 504}


NOON = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)


def error(code: int, status: int = 400, **headers: str) -> web.Response:
    """Return an error in the shape of Twilio's."""
    body = {"code": code, "message": "…", "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return web.json_response(body, status=status, headers=headers)


def created(**values: Any) -> web.Response:
    """Return a message as the API shows it when it has just been created."""
    shown = {
        "sid": MESSAGE,
        "account_sid": SID,
        "api_version": "2010-04-01",
        "status": "queued",
        "direction": "outbound-api",
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "date_sent": None,
        "uri": f"/2010-04-01/Accounts/{SID}/Messages/{MESSAGE}.json",
    }
    return web.json_response(shown | values, status=201)


def strict(request: web.Request, body: bytes) -> web.Response:
    """Take what Twilio takes and refuse what it refuses, in its own words."""
    user, _, password = (
        base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
    )
    if (user, password) not in {(SID, TOKEN), ("SKkey", f"{PASSWORD}-secret")}:
        return error(20003, 401)
    if request.path != f"/2010-04-01/Accounts/{SID}/Messages.json" or request.method != "POST":
        return error(20404, 404)
    if request.content_type != "application/x-www-form-urlencoded":
        return error(20001, 415)
    given = parse_qs(body.decode(), strict_parsing=True)
    assert set(given) <= KNOWN, given
    assert all(len(values) == 1 for values in given.values())
    if len(given.keys() & {"From", "MessagingServiceSid"}) != 1:
        return error(21603)
    if not given.get("Body"):
        return error(21602)
    if not 1 <= int(given["ValidityPeriod"][0]) <= 36_000:
        return error(20001)
    if not given["To"][0].startswith("+"):
        return error(21211)
    if "StatusCallback" in given and not given["StatusCallback"][0].startswith(ADDRESS):
        return error(21609)
    return created(to=given["To"][0], body=given["Body"][0])


def signed(fields: dict[str, str], query: str = "", method: str = "POST", address: str = ADDRESS) -> Callback:
    """Return a call as Twilio makes it, signed by its own SDK."""
    url = f"{address}?{query}" if query else address
    mark = RequestValidator(TOKEN).compute_signature(url, fields)
    headers = {"x-twilio-signature": mark, "content-type": "application/x-www-form-urlencoded"}
    return Callback(method, query, headers, urlencode(fields).encode(), url)


def report(status: str, code: str = "", ref: str = "7-1") -> Callback:
    fields = {
        "SmsSid": MESSAGE,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": PHONE,
        "MessageSid": MESSAGE,
        "AccountSid": SID,
        "From": "+15017122661",
        "ApiVersion": "2010-04-01",
    }
    return signed(fields | ({"ErrorCode": code} if code else {}), f"ref={ref}" if ref else "")


def incoming(text: str, **more: str) -> Callback:
    fields = {
        "ToCountry": "US",
        "MessageSid": MESSAGE,
        "SmsSid": MESSAGE,
        "SmsMessageSid": MESSAGE,
        "NumMedia": "0",
        "SmsStatus": "received",
        "Body": text,
        "FromCountry": "",
        "To": "+15017122661",
        "From": "+14155550123",
        "AccountSid": SID,
        "ApiVersion": "2010-04-01",
    }
    return signed(fields | more)


class TestTwilio(HttpContract):
    receipts = (
        (report("delivered"), [Receipt(ReceiptStatus.DELIVERED, "7-1", MESSAGE)]),
        (report("sent"), [Receipt(ReceiptStatus.ACCEPTED, "7-1", MESSAGE)]),
        (report("some-new-status"), [Receipt(ReceiptStatus.ACCEPTED, "7-1", MESSAGE)]),
        (
            report("undelivered", "30005"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", MESSAGE, outcome=Outcome.NO_SUCH_SUBSCRIBER, code="30005")],
        ),
        (
            report("failed", "39999"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", MESSAGE, outcome=Outcome.UNKNOWN, code="39999")],
        ),
        (
            report("canceled"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", MESSAGE, outcome=Outcome.UNKNOWN, code="canceled")],
        ),
        (report("delivered", ref=""), []),
        (incoming("Hello & 你好"), [Reply("+14155550123", "Hello & 你好", provider_ref=MESSAGE)]),
        (
            incoming("ASEZ", OptOutType="STOP", MessagingServiceSid=SERVICE),
            [Reply("+14155550123", "ASEZ", provider_ref=MESSAGE, opts_out=True)],
        ),
        (incoming("START", OptOutType="START"), [Reply("+14155550123", "START", provider_ref=MESSAGE)]),
    )

    def make(self, url: str, folder: Path, **values: str) -> Twilio:
        own = {"account_sid": SID, "auth_token": TOKEN, "sender": "+15017122661", "url": url}
        made = {setting.name: setting.default for setting in Twilio.settings} | own | values
        assert Twilio.check(made) == []
        return Twilio(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return strict(request, body)

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return error(int(code))

    def forged(self, callback: Callback) -> Sequence[Callback]:
        mark = callback.headers["x-twilio-signature"]
        other = RequestValidator("another-token").compute_signature(
            callback.url, dict(parse_qsl(callback.body.decode()))
        )
        return [
            Callback("POST", callback.query, {}, callback.body, callback.url),
            Callback("POST", callback.query, {"X-Twilio-Signature": ""}, callback.body, callback.url),
            Callback("POST", callback.query, {"X-Twilio-Signature": other}, callback.body, callback.url),
            Callback("POST", callback.query, {"X-Twilio-Signature": "é"}, callback.body, callback.url),
            Callback("POST", callback.query, callback.headers, callback.body + b"&More=1", callback.url),
            Callback("POST", "ref=7-2", callback.headers, callback.body, f"{ADDRESS}?ref=7-2"),
            Callback("POST", callback.query, {"X-Twilio-Signature": mark}, callback.body, "https://x:y/"),
        ]

    # -- what is sent ---------------------------------------------------------------------------------------------

    def test_the_request_is_the_form_twilio_wants(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path))
        assert answers == [SubmitResult(True, MESSAGE)]
        assert dict(parse_qsl(server.requests[0][2].decode())) == {
            "To": "+8613800138001",
            "From": "+15017122661",
            "Body": "【青禾商城】您的积分 100% 到期 & 失效",
            "ValidityPeriod": "14400",
            "StatusCallback": f"{ADDRESS}?ref=7-1",
        }

    def test_a_messaging_service_and_an_api_key_may_stand_for_number_and_token(self, tmp_path: Path) -> None:
        own = {"sender": SERVICE, "api_key": "SKkey", "api_secret": f"{PASSWORD}-secret", "validity": "60"}
        answers, server = run(self.sent(self.accepts, tmp_path, **own))
        assert answers == [SubmitResult(True, MESSAGE)]
        given = dict(parse_qsl(server.requests[0][2].decode()))
        assert (given["MessagingServiceSid"], given["ValidityPeriod"]) == (SERVICE, "60")
        assert "From" not in given

    def test_a_sender_name_may_begin_like_a_service(self, tmp_path: Path) -> None:
        _, server = run(self.sent(self.accepts, tmp_path, sender="MGSTORE"))
        assert dict(parse_qsl(server.requests[0][2].decode()))["From"] == "MGSTORE"

    def test_half_an_api_key_is_refused(self) -> None:
        problems = Twilio.check({"url": "https://api.twilio.com", "api_key": "SKkey"})
        assert [(problem.code, problem.place) for problem in problems] == [("setting_missing", "api_secret")]
        assert [problem.place for problem in Twilio.check({"url": "https://a.b", "api_secret": "x"})] == ["api_key"]

    @pytest.mark.parametrize(
        ("back", "named"),
        [
            ("", False),
            ("http://127.0.0.1:8000/callbacks/t", False),
            ("http://localhost:8000/callbacks/t", False),
            ("http://[::1]:8000/callbacks/t", False),
            ("https://10.1.2.3/callbacks/t", False),
            ("https://sms.example.com/callbacks/t", True),
            ("https://8.8.8.8/callbacks/t", True),
        ],
    )
    def test_an_address_that_twilio_cannot_call_is_left_out(self, back: str, named: bool, tmp_path: Path) -> None:
        class Ear:
            async def request(self, _method: str, _url: str, _headers: Any, body: bytes, **_: Any) -> Any:
                self.body = parse_qs(body.decode())
                raise OutcomeUnknown("enough")

        ear = Ear()
        with pytest.raises(OutcomeUnknown):
            run(self.make("https://api.twilio.com", tmp_path).send(submission(1, back), ear))  # type: ignore[arg-type]  # it only listens
        assert ("StatusCallback" in ear.body) is named

    # -- what is answered -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("code", ERROR_CODES)
    def test_every_code_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        result, server = run(self.sent(lambda *_: error(int(code), HTTP.get(code, 400)), tmp_path))
        meaning = ERROR_CODES[code]
        assert len(server.requests) == 1
        if meaning.scope in {Scope.RECIPIENT, Scope.TEXT}:
            assert result == [SubmitResult(False, outcome=meaning.outcome, code=code)]
            return
        kind = {Scope.TIMING: Throttled, Scope.ACCOUNT: AccountError, Scope.UNKNOWN: OutcomeUnknown}[meaning.scope]
        assert isinstance(result, kind)
        assert (result.outcome, result.code) == (meaning.outcome, code)

    @pytest.mark.parametrize("code", REPORTS)
    def test_every_code_of_a_report_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        receipts = self.make("http://127.0.0.1:1", tmp_path).read_callback(report("undelivered", code))
        assert receipts == [Receipt(ReceiptStatus.UNDELIVERED, "7-1", MESSAGE, outcome=REPORTS[code], code=code)]
        assert REPORTS[code] is not Outcome.UNKNOWN

    def test_a_number_that_opted_out_is_told_from_a_wrong_one(self, tmp_path: Path) -> None:
        results = [run(self.sent(lambda *_, c=code: error(c), tmp_path))[0] for code in (21610, 21211)]
        assert results == [
            [SubmitResult(False, outcome=Outcome.OPTED_OUT, code="21610")],
            [SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="21211")],
        ]

    def test_too_many_requests_wait_as_long_as_told(self, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: error(20429, 429, **{"Retry-After": "9"}), tmp_path))
        assert isinstance(result, Throttled)
        assert (result.code, result.retry_after) == ("20429", 9)

    def test_an_unknown_code_with_a_fault_is_unconfirmed(self, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: error(29999, 503), tmp_path))
        assert isinstance(result, OutcomeUnknown)

    def test_a_refusal_of_the_account_with_an_unknown_code_waits_for_a_person(self, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: error(29999, 403), tmp_path))
        assert isinstance(result, AccountError)

    def test_a_message_created_as_failed_is_refused(self, tmp_path: Path) -> None:
        answers, _ = run(self.sent(lambda *_: created(status="failed", error_code=30034), tmp_path))
        assert answers == [SubmitResult(False, MESSAGE, Outcome.SIGNATURE_REFUSED, "30034")]

    async def asked(self, answer: web.Response, folder: Path, **values: str) -> tuple[Any, Any]:
        async def reply(_request: web.Request, _body: bytes) -> web.Response:
            return answer

        async with provider(reply) as server, HttpClient(HERE) as http:
            try:
                return await self.make(server.url, folder, **values).balance(http), server
            except ChannelError as trouble:
                return trouble, server

    def test_the_balance_is_the_accounts(self, tmp_path: Path) -> None:
        left = web.json_response({"account_sid": SID, "balance": "12.34", "currency": "USD"})
        balance, server = run(self.asked(left, tmp_path))
        assert balance == Balance(Decimal("12.34"), "USD")
        assert server.requests[0][:2] == ("GET", f"/2010-04-01/Accounts/{SID}/Balance.json")
        assert isinstance(run(self.asked(web.json_response({"balance": "much"}), tmp_path))[0], OutcomeUnknown)
        wrong, _ = run(self.asked(error(20003, 401), tmp_path))
        assert isinstance(wrong, AccountError)
        assert (wrong.code, wrong.outcome) == ("20003", Outcome.CREDENTIALS)

    # -- signatures -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [("b", "2"), ("a", "1"), ("B", "3")],
            [("MediaUrl", "y"), ("MediaUrl", "x"), ("MediaUrl", "x"), ("Body", "")],
            [("Body", "你好 & +1 = %20\n"), ("From", "+14155550123"), ("empty", "")],
        ],
    )
    @pytest.mark.parametrize(
        "address", [ADDRESS, f"{ADDRESS}?ref=7-1", "https://h.example:8443/c/t?a=b&c=%20", "http://h.example/c"]
    )
    def test_signatures_are_those_of_the_official_sdk(
        self, address: str, fields: list[tuple[str, str]], tmp_path: Path
    ) -> None:
        ours = signature(TOKEN, address, fields)
        validator = RequestValidator(TOKEN)
        assert ours == validator.compute_signature(address, MultiDict(fields))
        assert validator.validate(address, MultiDict(fields), ours)

        headers = {"X-Twilio-Signature": ours}
        body, query = urlencode(fields).encode(), address.partition("?")[2]
        self.make("http://127.0.0.1:1", tmp_path).verify_callback(Callback("POST", query, headers, body, address))

    @pytest.mark.parametrize(
        ("signed_as", "seen_as"),
        [
            ("https://sms.example.com:443/c/t", "https://sms.example.com/c/t"),
            ("https://sms.example.com/c/t", "https://sms.example.com:443/c/t"),
            ("http://sms.example.com:80/c/t", "http://sms.example.com/c/t"),
            ("https://sms.example.com/c/t", "https://sms.example.com:8443/c/t"),
        ],
    )
    def test_the_port_may_be_signed_or_not_as_with_the_official_sdk(
        self, signed_as: str, seen_as: str, tmp_path: Path
    ) -> None:
        mark = signature(TOKEN, signed_as, [("a", "b")])
        assert RequestValidator(TOKEN).validate(seen_as, {"a": "b"}, mark)
        callback = Callback("POST", "", {"X-Twilio-Signature": mark}, b"a=b", seen_as)
        self.make("http://127.0.0.1:1", tmp_path).verify_callback(callback)

    def test_a_call_by_get_is_signed_over_its_address_alone(self, tmp_path: Path) -> None:
        query = urlencode({"ref": "7-1", "MessageSid": MESSAGE, "MessageStatus": "delivered"})
        mark = RequestValidator(TOKEN).compute_signature(f"{ADDRESS}?{query}", {})
        callback = Callback("GET", query, {"X-Twilio-Signature": mark}, b"", f"{ADDRESS}?{query}")
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        adapter.verify_callback(callback)
        assert adapter.read_callback(callback) == [Receipt(ReceiptStatus.DELIVERED, "7-1", MESSAGE)]

    def test_an_api_keys_secret_signs_nothing(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path, api_key="SKkey", api_secret=f"{PASSWORD}-secret")
        adapter.verify_callback(report("sent"))
        mark = signature(f"{PASSWORD}-secret", ADDRESS, [])
        with pytest.raises(CallbackRefused):
            adapter.verify_callback(Callback("POST", "", {"X-Twilio-Signature": mark}, b"", ADDRESS))

    def test_a_reply_is_acknowledged_without_a_word_to_the_person(self, tmp_path: Path) -> None:
        answer = self.make("http://127.0.0.1:1", tmp_path).acknowledgement()
        assert (answer.content_type, answer.body) == ("text/xml; charset=utf-8", b"<Response></Response>")

    @pytest.mark.parametrize("fields", [{"MessageSid": MESSAGE}, {"MessageStatus": "sent"}, {"SmsStatus": "received"}])
    def test_calls_that_say_nothing_are_value_errors(self, fields: dict[str, str], tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"."):
            self.make("http://127.0.0.1:1", tmp_path).read_callback(signed(fields))


@pytest.mark.parametrize(
    ("name", "typed", "fits"),
    [
        ("account_sid", "ACshort", False),
        ("account_sid", "AC" + "0a" * 16, True),
        ("account_sid", "SK" + "0a" * 16, False),
        ("api_key", "SKx", False),
        ("api_key", "SK" + "0a" * 16, True),
    ],
)
def test_ids_are_refused_when_they_are_saved_if_they_are_none(name: str, typed: str, fits: bool) -> None:
    (setting,) = [setting for setting in Twilio.settings if setting.name == name]
    assert (setting.problem(typed) is None) is fits


@pytest.mark.parametrize(("seconds", "validity"), [(90, "90"), (20_000, "14400"), (0.2, "1")])
def test_it_is_told_the_shorter_of_the_channels_validity_and_the_campaigns_limit(
    seconds: float, validity: str, tmp_path: Path
) -> None:
    async def taken(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return created()

    async def story() -> str:
        async with provider(taken) as server, HttpClient(HERE) as http:
            values = {"account_sid": SID, "auth_token": TOKEN, "sender": "+15017122661", "url": server.url}
            channel = Twilio(values, tmp_path)
            limited = replace(submission(1), valid_until=NOON + dt.timedelta(seconds=seconds))
            channel.clock = NOON.timestamp
            await channel.send(limited, http)
            return parse_qs(server.requests[0][2].decode())["ValidityPeriod"][0]

    assert run(story()) == validity
