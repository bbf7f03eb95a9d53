"""Tencent Cloud SMS: signed as the official SDK signs, answered number by number, pulled where nobody can call us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.common.sign import Sign
from tencentcloud.sms.v20210111.models import SendSmsRequest
from tencentcloud.sms.v20210111.sms_client import SmsClient

from smsapp.channels._error_codes import Scope, seconds_to_wait
from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpAnswer, HttpClient
from smsapp.channels.tencent.adapter import Tencent
from smsapp.channels.tencent.codes import ERROR_CODES
from smsapp.channels.tencent.signing import authorization
from smsapp.channels.types import Callback, OutboundMessage, Receipt, ReceiptStatus, Reply, SubmitRequest, SubmitResult
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.contract import PASSWORD, PHONE, SIGNATURE, HttpContract, dumped
from tests.channels.wire import HERE, Provider, provider, run

KEY = "AKID-test"
MORNING = 1795392000.0
"""2026-11-23 08:00 in China."""


def status(number: str, code: str = "Ok") -> dict[str, Any]:
    serial = f"2019:{number[-4:]}" if code == "Ok" else ""
    return {
        "SerialNo": serial,
        "PhoneNumber": number,
        "Fee": 1 if serial else 0,
        "SessionContext": "",
        "Code": code,
        "Message": "…",
        "IsoCode": "CN",
    }


def response(**values: Any) -> web.Response:
    return web.json_response({"Response": {**values, "RequestId": "a0aabda6"}})


def error(code: str) -> web.Response:
    return response(Error={"Code": code, "Message": "…"})


def each(code: str) -> Callable[[web.Request, bytes], web.Response]:
    """Return a provider that says this of every number."""
    return lambda _request, body: response(SendStatusSet=[status(number, code) for number in numbers(body)])


def numbers(body: bytes) -> list[str]:
    phones: list[str] = json.loads(body)["PhoneNumberSet"]
    return phones


def posted(value: Any) -> Callback:
    return Callback("POST", "", {"Content-Type": "application/json"}, dumped(value))


def report(delivery_status: str, errmsg: str) -> dict[str, str]:
    return {
        "user_receive_time": "2026-10-17 08:03:04",
        "nationcode": "86",
        "mobile": "13800138000",
        "report_status": delivery_status,
        "errmsg": errmsg,
        "description": "…",
        "sid": "2019:8000",
    }


def pulled(delivery_status: str, description: str) -> dict[str, Any]:
    return {
        "UserReceiveTime": 1730000000,
        "CountryCode": "86",
        "SubscriberNumber": "13800138000",
        "PhoneNumber": PHONE,
        "SerialNo": "2019:8000",
        "ReportStatus": delivery_status,
        "Description": description,
        "SessionContext": "",
    }


REPLY = {
    "ExtendCode": "12",
    "CountryCode": "86",
    "PhoneNumber": PHONE,
    "SignName": SIGNATURE,
    "ReplyContent": "退订",
    "ReplyTime": 1730000000,
    "SubscriberNumber": "13800138000",
}
DELIVERED = Receipt(ReceiptStatus.DELIVERED, provider_ref="2019:8000", phone=PHONE, code="DELIVRD")


class TestTencent(HttpContract):
    receipts = (
        (
            posted([report("SUCCESS", "DELIVRD"), report("FAIL", "MBBLACK"), report("FAIL", "XX:9")]),
            [
                DELIVERED,
                Receipt(ReceiptStatus.UNDELIVERED, "", "2019:8000", PHONE, Outcome.OPTED_OUT, "MBBLACK"),
                Receipt(ReceiptStatus.UNDELIVERED, "", "2019:8000", PHONE, Outcome.UNKNOWN, "XX:9"),
            ],
        ),
        (
            posted(
                {
                    "extend": "12",
                    "mobile": "13800138000",
                    "nationcode": "86",
                    "sign": SIGNATURE,
                    "text": "TD",
                    "time": 1457336869,
                }
            ),
            [Reply(PHONE, "TD", "12")],
        ),
        (
            posted({"Response": {"PullSmsSendStatusSet": [pulled("SUCCESS", "DELIVRD"), pulled("FAIL", "EXPIRED")]}}),
            [DELIVERED, Receipt(ReceiptStatus.UNDELIVERED, "", "2019:8000", PHONE, Outcome.EXPIRED, "EXPIRED")],
        ),
        (posted({"Response": {"PullSmsReplyStatusSet": [REPLY]}}), [Reply(PHONE, "退订", "12")]),
        (
            posted([report("SUCCESS", "DELIVRD") | {"nationcode": "852", "mobile": "91234567"}]),
            [Receipt(ReceiptStatus.DELIVERED, provider_ref="2019:8000", phone="+85291234567", code="DELIVRD")],
        ),
    )

    def make(self, url: str, folder: Path, **values: str) -> Tencent:
        defaults = {setting.name: setting.default for setting in Tencent.settings}
        own = {"secret_id": KEY, "secret_key": PASSWORD, "app_id": "1400006666", "url": url}
        made = defaults | own | values
        assert Tencent.check(made) == []
        return Tencent(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return each("Ok")(request, body)

    unknown_code = "FailedOperation.SomethingNew"

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return each(code)(request, body)

    async def in_flight(
        self,
        phones: Sequence[str],
        folder: Path,
        answer: Callable[[web.Request, bytes], web.Response],
        variables: tuple[str, ...] = (),
        values: tuple[str, ...] = (),
    ) -> tuple[list[SubmitResult] | ChannelError, Provider]:
        async def reply(request: web.Request, body: bytes) -> web.Response:
            return answer(request, body)

        template = TemplateSnapshot("1234", "…", SIGNATURE, variables, True)
        what = SubmitRequest(
            template, [OutboundMessage(f"7-{n}", phone, "…", values) for n, phone in enumerate(phones)], ""
        )
        async with provider(reply) as server, HttpClient(HERE) as http:
            try:
                return await self.make(server.url, folder).send(what, http), server
            except ChannelError as trouble:
                return trouble, server

    # -- what is sent ---------------------------------------------------------------------------------------------

    def test_the_request_is_what_sendsms_wants(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path, 2, extension="12"))
        assert answers == [SubmitResult(True, "2019:8001"), SubmitResult(True, "2019:8002")]
        method, path, body = server.requests[0]
        assert (method, path) == ("POST", "/")
        assert json.loads(body) == {
            "PhoneNumberSet": ["+8613800138001", "+8613800138002"],
            "SmsSdkAppId": "1400006666",
            "TemplateId": "SMS_1",
            "SignName": SIGNATURE,
            "TemplateParamSet": ["100"],
            "ExtendCode": "12",
        }
        headers = server.headers[0]
        assert (headers["X-TC-Action"], headers["X-TC-Version"]) == ("SendSms", "2021-01-11")
        assert headers["X-TC-Region"] == "ap-guangzhou"
        assert headers["Content-Type"] == "application/json"

    def test_values_go_by_their_numbers_wherever_they_stand_in_the_text(self, tmp_path: Path) -> None:
        variables = ("2", "1", "10")
        _, server = run(self.in_flight([PHONE], tmp_path, self.accepts, variables, ("two", "one", "ten")))
        assert json.loads(server.requests[0][2])["TemplateParamSet"] == ["one", "two", "ten"]

    def test_numbers_at_home_and_abroad_do_not_share_a_request(self, tmp_path: Path) -> None:
        phones = ["+85291230001", "+8613800130002", "+85291230003"]
        answers, server = run(self.in_flight(phones, tmp_path, self.accepts))
        assert answers == [SubmitResult(True, f"2019:{phone[-4:]}") for phone in phones]
        assert [numbers(body) for _, _, body in server.requests] == [[phones[1]], [phones[0], phones[2]]]

    def test_trouble_abroad_does_not_take_back_what_was_accepted_at_home(self, tmp_path: Path) -> None:
        phones = ["+85291230001", "+8613800130002"]

        def answer(request: web.Request, body: bytes) -> web.Response:
            return error("RequestLimitExceeded") if "+85291230001" in numbers(body) else self.accepts(request, body)

        answers, _ = run(self.in_flight(phones, tmp_path, answer))
        assert answers == [
            SubmitResult(False, outcome=Outcome.THROTTLED, code="RequestLimitExceeded"),
            SubmitResult(True, "2019:0002"),
        ]

    # -- signature ------------------------------------------------------------------------------------------------

    def test_the_signature_is_the_one_of_the_official_sdk(self) -> None:
        """What the SDK sends, signed again by us, carries the same Authorization."""

        def call(url: str) -> None:
            profile = HttpProfile(endpoint=url.removeprefix("http://"))
            profile.scheme = "http"
            client = SmsClient(Credential(KEY, PASSWORD), "ap-guangzhou", ClientProfile(httpProfile=profile))
            request = SendSmsRequest()
            request.PhoneNumberSet = [PHONE]
            request.SmsSdkAppId, request.TemplateId, request.SignName = "1400006666", "1234", "青禾 商城"
            request.TemplateParamSet = ["100% & ~*+"]
            client.SendSms(request)

        async def story() -> Provider:
            async def answer(request: web.Request, body: bytes) -> web.Response:
                return self.accepts(request, body)

            async with provider(answer) as server:
                await asyncio.to_thread(call, server.url)
                return server

        server = run(story())
        headers = server.headers[0]
        assert headers["Authorization"] == authorization(
            headers["Host"], "/", server.requests[0][2], int(headers["X-TC-Timestamp"]), KEY, PASSWORD
        )

    def test_the_official_signer_agrees_with_a_request_of_ours(self, tmp_path: Path) -> None:
        _, server = run(self.sent(self.accepts, tmp_path))
        headers, body = server.headers[0], server.requests[0][2]

        class Request:
            method, uri, data, header = "POST", "/", body, headers

        client = SmsClient(Credential(KEY, PASSWORD), "ap-guangzhou")
        credential, _, signature = headers["Authorization"].partition(" ")[2].split(", ")
        date = credential.split("/")[1]
        wanted = client._get_tc3_signature({}, Request, date, "sms", PASSWORD)
        assert signature == f"Signature={wanted}"
        assert len(Sign.sign_tc3(PASSWORD, date, "sms", "x")) == len(wanted)

    def test_the_date_of_the_signature_is_universal(self) -> None:
        header = authorization("sms.tencentcloudapi.com", "/", b"{}", int(MORNING) - 8 * 3600 - 1, KEY, PASSWORD)
        assert f"Credential={KEY}/2026-11-22/sms/tc3_request" in header
        assert "/2026-11-23/" in authorization("sms.tencentcloudapi.com", "/", b"{}", int(MORNING), KEY, PASSWORD)

    # -- what is answered -----------------------------------------------------------------------------------------

    def test_every_number_has_its_own_answer(self, tmp_path: Path) -> None:
        codes = ["Ok", "FailedOperation.PhoneNumberInBlacklist", "LimitExceeded.PhoneNumberDailyLimit", "Brand.New"]

        def answer(_request: web.Request, body: bytes) -> web.Response:
            return response(SendStatusSet=[status(*pair) for pair in zip(numbers(body), codes, strict=True)][::-1])

        answers, _ = run(self.sent(answer, tmp_path, 4))
        assert answers == [
            SubmitResult(True, "2019:8001"),
            SubmitResult(False, outcome=Outcome.OPTED_OUT, code=codes[1]),
            SubmitResult(False, outcome=Outcome.FREQUENCY_LIMIT, code=codes[2]),
            SubmitResult(False, outcome=Outcome.UNKNOWN, code=codes[3]),
        ]

    def test_a_number_the_provider_does_not_speak_of_is_unconfirmed(self, tmp_path: Path) -> None:
        def answer(_request: web.Request, body: bytes) -> web.Response:
            first, second, _third = numbers(body)
            return response(SendStatusSet=[status(first), status(second, "InternalError.Timeout")])

        answers, _ = run(self.sent(answer, tmp_path, 3))
        assert answers == [
            SubmitResult(True, "2019:8001"),
            SubmitResult(False, code="InternalError.Timeout", unconfirmed=True),
            SubmitResult(False, unconfirmed=True),
        ]

    @pytest.mark.parametrize("told", [None, [], [1, "x"], "x", [{"Code": "Ok", "PhoneNumber": "+8613999999999"}]])
    def test_an_answer_without_our_numbers_is_unclear(self, told: Any, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: response(SendStatusSet=told), tmp_path, 2))
        assert isinstance(result, OutcomeUnknown)

    @pytest.mark.parametrize("code", ERROR_CODES)
    @pytest.mark.parametrize("whole", [False, True])
    def test_every_code_has_its_outcome_for_a_number_and_for_a_request(
        self, code: str, whole: bool, tmp_path: Path
    ) -> None:
        result, _ = run(
            self.in_flight([PHONE], tmp_path, lambda *a: error(code) if whole else each(code)(*a), ("1",), ("v",))
        )
        meaning = ERROR_CODES[code]
        if meaning.scope in {Scope.RECIPIENT, Scope.TEXT}:
            assert result == [SubmitResult(False, outcome=meaning.outcome, code=code)]
            return
        kind = {Scope.TIMING: Throttled, Scope.ACCOUNT: AccountError, Scope.UNKNOWN: OutcomeUnknown}[meaning.scope]
        assert isinstance(result, kind)
        assert (result.outcome, result.code) == (meaning.outcome, code)

    @pytest.mark.parametrize(
        ("code", "kind", "outcome"),
        [
            ("RequestLimitExceeded.UinLimitExceeded", Throttled, Outcome.THROTTLED),
            ("AuthFailure.SecretIdNotFound", AccountError, Outcome.CREDENTIALS),
            ("AuthFailure.SignatureFailure", AccountError, Outcome.CREDENTIALS),
            ("AuthFailure.SignatureExpire", AccountError, Outcome.OUR_FAULT),
            ("UnauthorizedOperation.SmsSdkAppIdVerifyFail", AccountError, Outcome.CREDENTIALS),
            ("UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny", AccountError, Outcome.CREDENTIALS),
            ("MissingParameter.EmptyPhoneNumberSet", AccountError, Outcome.OUR_FAULT),
            ("UnsupportedOperation", AccountError, Outcome.OUR_FAULT),
            ("InternalError.Timeout", OutcomeUnknown, Outcome.PROVIDER_FAULT),
        ],
    )
    def test_codes_are_also_known_by_their_family(
        self, code: str, kind: type[ChannelError], outcome: Outcome, tmp_path: Path
    ) -> None:
        result, _ = run(self.sent(lambda *_: error(code), tmp_path, 2))
        assert isinstance(result, kind)
        assert (result.outcome, result.code) == (outcome, code)

    def test_a_text_refused_for_everybody_waits_for_a_person(self, tmp_path: Path) -> None:
        result, _ = run(self.in_flight([PHONE], tmp_path, each("FailedOperation.ContainSensitiveWord")))
        assert isinstance(result, AccountError)
        assert result.outcome is Outcome.CONTENT_REFUSED

    def test_an_unknown_code_for_the_request_is_kept(self, tmp_path: Path) -> None:
        result, server = run(self.sent(lambda *_: error("FailedOperation.BrandNew"), tmp_path, 2))
        assert result == [SubmitResult(False, outcome=Outcome.UNKNOWN, code="FailedOperation.BrandNew")] * 2
        assert len(server.requests) == 1

    def test_out_of_hours_waits_until_the_morning(self, tmp_path: Path) -> None:
        closed = ERROR_CODES["FailedOperation.MarketingSendTimeConstraint"]
        assert seconds_to_wait(closed, HttpAnswer(200, {}, b""), MORNING - 3600) == 3600
        result, _ = run(self.sent(each("FailedOperation.MarketingSendTimeConstraint"), tmp_path, 2))
        assert isinstance(result, Throttled)
        assert result.outcome is Outcome.OUTSIDE_HOURS
        assert result.retry_after is not None
        assert 0 < result.retry_after <= 10 * 3600

    # -- pulling and account --------------------------------------------------------------------------------------

    async def fetched(self, folder: Path, answer: Callable[[str], web.Response], **values: str) -> tuple[Any, Provider]:
        """Pull everything; return the news or the error, and the provider."""

        async def reply(request: web.Request, _body: bytes) -> web.Response:
            return answer(request.headers["X-TC-Action"])

        async with provider(reply) as server, HttpClient(HERE) as http:
            adapter = self.make(server.url, folder, **values)
            try:
                return [news async for page in adapter.pull(http) for news in adapter.read_callback(page)], server
            except ChannelError as trouble:
                return trouble, server

    def test_nothing_is_pulled_unless_the_settings_say_so(self, tmp_path: Path) -> None:
        assert run(self.fetched(tmp_path, lambda _: error("UnsupportedOperation")))[0] == []

    def test_receipts_and_replies_are_pulled_until_none_are_left(self, tmp_path: Path) -> None:
        left = [[pulled("SUCCESS", "DELIVRD")] * 100, [pulled("SUCCESS", "DELIVRD")] * 2]

        def answer(action: str) -> web.Response:
            if action == "PullSmsSendStatus":
                return response(PullSmsSendStatusSet=left.pop(0))
            return response(PullSmsReplyStatusSet=[REPLY])

        news, server = run(self.fetched(tmp_path, answer, pull="1"))
        assert news == [DELIVERED] * 102 + [Reply(PHONE, "退订", "12")]
        assert len(server.requests) == 3
        assert json.loads(server.requests[0][2]) == {"SmsSdkAppId": "1400006666", "Limit": 100}

    def test_nothing_waiting_is_no_page(self, tmp_path: Path) -> None:
        empty = response(PullSmsSendStatusSet=[], PullSmsReplyStatusSet=[]).body
        news, _ = run(self.fetched(tmp_path, lambda _: web.Response(body=empty), pull="1"))
        assert news == []

    @pytest.mark.parametrize(
        ("answer", "kind"), [("null", OutcomeUnknown), ('{"Response":{"RequestId":"x"}}', OutcomeUnknown)]
    )
    def test_a_page_that_says_nothing_is_an_error(self, answer: str, kind: type[ChannelError], tmp_path: Path) -> None:
        result, _ = run(self.fetched(tmp_path, lambda _: web.Response(text=answer), pull="1"))
        assert isinstance(result, kind)

    async def tried(self, answer: web.Response, folder: Path) -> Any:
        async def reply(_request: web.Request, _body: bytes) -> web.Response:
            return answer

        async with provider(reply) as server, HttpClient(HERE) as http:
            try:
                return await self.make(server.url, folder).test_credentials(http)
            except ChannelError as trouble:
                return trouble

    def test_the_account_says_what_is_left_in_its_packages(self, tmp_path: Path) -> None:
        packages = [{"PackageAmount": 1000, "CurrentUsage": 990}, {"PackageAmount": 500, "CurrentUsage": 0}, None]
        assert run(self.tried(response(SmsPackagesStatisticsSet=packages), tmp_path)) == "510"
        assert isinstance(run(self.tried(response(), tmp_path)), OutcomeUnknown)
        assert isinstance(run(self.tried(error("AuthFailure.SecretIdNotFound"), tmp_path)), AccountError)

    def test_it_acknowledges_in_the_providers_words(self, tmp_path: Path) -> None:
        answer = self.make("http://127.0.0.1:1", tmp_path).acknowledgement()
        assert json.loads(answer.body) == {"result": 0, "errmsg": "OK"}

    @pytest.mark.parametrize("item", [{"sid": "1"}, {"report_status": "FAIL"}, {"text": "TD"}])
    def test_news_that_say_nothing_are_value_errors(self, item: dict[str, str], tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"."):
            self.make("http://127.0.0.1:1", tmp_path).read_callback(posted(item))

    def test_an_address_must_be_one(self) -> None:
        assert [problem.place for problem in Tencent.check({"url": "sms.tencentcloudapi.com"})] == ["url"]
