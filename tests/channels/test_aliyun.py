"""Alibaba Cloud SMS: signed as the official SDK signs, halved where one number spoils a list, read as it calls back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import SendBatchSmsRequest, SendSmsRequest
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config

from smsapp.channels.aliyun.adapter import Aliyun
from smsapp.channels.aliyun.codes import ERROR_CODES, REPORTS
from smsapp.channels.aliyun.signing import authorization
from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, OutboundMessage, Receipt, ReceiptStatus, Reply, SubmitRequest, SubmitResult
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.contract import PASSWORD, PHONE, SIGNATURE, HttpContract, dumped, submission
from tests.channels.wire import HERE, Line, Provider, listening, provider, run

OK = {"Message": "OK", "RequestId": "F655A8D5", "BizId": "900619746936498440^0", "Code": "OK"}
KEY = "LTAI-test"


def said(code: str, status: int = 200) -> web.Response:
    return web.json_response({"Message": "…", "RequestId": "F655A8D5", "Code": code}, status=status)


def pushed(*items: dict[str, Any]) -> Callback:
    return Callback("POST", "", {"Content-Type": "application/json"}, dumped(list(items)))


def report(success: Any, code: str, **more: str) -> dict[str, Any]:
    return {
        "phone_number": "13800138000",
        "send_time": "2026-11-01 11:12:13",
        "report_time": "2026-11-01 11:12:15",
        "success": success,
        "err_code": code,
        "err_msg": "…",
        "sms_size": "1",
        "biz_id": "900619746936498440^0",
        **more,
    }


BIZ = "900619746936498440^0"


def asked(server: Provider, n: int = 0) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(server.requests[n][1]).query, strict_parsing=True))


def wanted(values: Sequence[tuple[str, ...]], variables: tuple[str, ...] = ("code",)) -> SubmitRequest:
    """Return one message per tuple of values."""
    template = TemplateSnapshot("SMS_1", "…", SIGNATURE, variables, True)
    messages = [OutboundMessage(f"7-{i}", f"+861380013{i:04}", "…", own) for i, own in enumerate(values, 1)]
    return SubmitRequest(template, messages, "")


class TestAliyun(HttpContract):
    receipts = (
        (
            pushed(report(True, "DELIVERED"), report("true", "DELIVERED", phone_number="85291234567")),
            [
                Receipt(ReceiptStatus.DELIVERED, provider_ref=BIZ, phone=PHONE, code="DELIVERED"),
                Receipt(ReceiptStatus.DELIVERED, provider_ref=BIZ, phone="+85291234567", code="DELIVERED"),
            ],
        ),
        (
            pushed(report(False, "MOBILE_IN_BLACK"), report("false", "MK:0001"), report(False, "XY-4711")),
            [
                Receipt(ReceiptStatus.UNDELIVERED, "", BIZ, PHONE, Outcome.OPTED_OUT, "MOBILE_IN_BLACK"),
                Receipt(ReceiptStatus.UNDELIVERED, "", BIZ, PHONE, Outcome.NO_SUCH_SUBSCRIBER, "MK:0001"),
                Receipt(ReceiptStatus.UNDELIVERED, "", BIZ, PHONE, Outcome.UNKNOWN, "XY-4711"),
            ],
        ),
        # Somebody else's out_id, and ours without its seal, prove nothing; the id of the request does.
        (
            pushed(report(True, "DELIVERED", out_id="7-1"), report(True, "DELIVERED", out_id="7-1.0011223344556677")),
            [Receipt(ReceiptStatus.DELIVERED, provider_ref=BIZ, phone=PHONE, code="DELIVERED")] * 2,
        ),
        (
            pushed(
                {
                    "phone_number": "13800138000",
                    "content": "TD",
                    "send_time": "2026-11-01 11:12:13",
                    "dest_code": "95187",
                    "sequence_id": 1234567890,
                }
            ),
            [Reply(PHONE, "TD", "95187")],
        ),
        (pushed({"template_type": "1", "template_code": "SMS_1", "template_status": "approved"}), []),
    )

    def make(self, url: str, folder: Path, **values: str) -> Aliyun:
        defaults = {setting.name: setting.default for setting in Aliyun.settings}
        made = defaults | {"access_key_id": KEY, "access_key_secret": PASSWORD, "url": url} | values
        assert Aliyun.check(made) == []
        return Aliyun(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return web.json_response(OK)

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return said(code)

    async def in_flight(
        self, what: SubmitRequest, folder: Path, answer: Callable[[web.Request, bytes], web.Response], **values: str
    ) -> tuple[list[SubmitResult] | ChannelError, Provider]:
        async def reply(request: web.Request, body: bytes) -> web.Response:
            return answer(request, body)

        async with provider(reply) as server, HttpClient(HERE) as http:
            try:
                return await self.make(server.url, folder, **values).send(what, http), server
            except ChannelError as error:
                return error, server

    # -- what is sent ---------------------------------------------------------------------------------------------

    def test_equal_values_go_as_one_list(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path, 3, extension="99"))
        assert answers == [SubmitResult(True, OK["BizId"])] * 3
        assert server.requests[0][2] == b""
        assert server.headers[0]["x-acs-action"] == "SendSms"
        assert asked(server) == {
            "PhoneNumbers": "13800138001,13800138002,13800138003",
            "SignName": SIGNATURE,
            "TemplateCode": "SMS_1",
            "TemplateParam": '{"code":"100"}',
            "SmsUpExtendCode": "99",
        }

    def test_own_values_go_as_a_batch_of_lists(self, tmp_path: Path) -> None:
        answers, server = run(self.in_flight(wanted([("1",), ("二 & 三",)]), tmp_path, self.accepts, extension="99"))
        assert answers == [SubmitResult(True, OK["BizId"])] * 2
        assert server.headers[0]["x-acs-action"] == "SendBatchSms"
        assert asked(server) == {"TemplateCode": "SMS_1"}
        form = {name: json.loads(value) for name, value in parse_qsl(server.requests[0][2].decode())}
        assert form == {
            "PhoneNumberJson": ["13800130001", "13800130002"],
            "SignNameJson": [SIGNATURE, SIGNATURE],
            "TemplateParamJson": [{"code": "1"}, {"code": "二 & 三"}],
            "SmsUpExtendCodeJson": ["99", "99"],
        }

    def test_numbers_abroad_keep_their_country(self, tmp_path: Path) -> None:
        template = TemplateSnapshot("SMS_2", "hi", "Acme", (), False)
        what = SubmitRequest(template, [OutboundMessage("7-1", "+85291234567", "hi", ())], "")
        _, server = run(self.in_flight(what, tmp_path, self.accepts))
        assert asked(server)["PhoneNumbers"] == "85291234567"
        assert "TemplateParam" not in asked(server)

    def test_a_thousand_numbers_fit_where_nobody_has_values(self, tmp_path: Path) -> None:
        async def story() -> bytes:
            heads = []

            async def serve(line: Line) -> None:
                heads.append(await line.request())
                await line.answer(dumped(OK), headers="Content-Type: application/json\r\n")

            what = wanted([()] * 1000, ())
            async with listening(serve) as url, HttpClient(HERE) as http:
                adapter = self.make(url, tmp_path)
                assert adapter.max_messages_for(what.template) == 1000
                assert adapter.max_messages_for(wanted([("1",)]).template) == adapter.per_request == 100
                assert await adapter.send(what, http) == [SubmitResult(True, OK["BizId"])] * 1000
            (head,) = heads
            return head

        assert run(story()).count(b"%2C") == 999

    # -- signature ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("batch", [False, True])
    def test_the_signature_is_the_one_of_the_official_sdk(self, batch: bool) -> None:
        """What the SDK sends, signed again by us, carries the same Authorization."""

        def call(url: str) -> None:
            config = Config(
                access_key_id=KEY,
                access_key_secret=PASSWORD,
                endpoint=url.removeprefix("http://"),
                protocol="HTTP",
            )
            if batch:
                Client(config).send_batch_sms(
                    SendBatchSmsRequest(
                        phone_number_json='["13800138001"]',
                        sign_name_json='["青禾 商城"]',
                        template_code="SMS_1",
                        template_param_json='[{"code":"100% & ~*"}]',
                    )
                )
                return
            Client(config).send_sms(
                SendSmsRequest(
                    phone_numbers="13800138001,13800138002",
                    sign_name="青禾 商城",
                    template_code="SMS_1",
                    template_param='{"code":"100% & ~*+"}',
                    out_id="7-1",
                )
            )

        async def story() -> Provider:
            async def answer(_request: web.Request, _body: bytes) -> web.Response:
                return web.json_response(OK)

            async with provider(answer) as server:
                await asyncio.to_thread(call, server.url)
                return server

        server = run(story())
        headers = {name.lower(): value for name, value in server.headers[0].items()}
        names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        query = urlsplit(server.requests[0][1]).query
        ours = "&".join(sorted(query.replace("+", "%20").replace("*", "%2A").split("&")))
        assert headers["authorization"] == authorization(
            "/", ours, {name: headers[name] for name in names}, headers["x-acs-content-sha256"], KEY, PASSWORD
        )

    @pytest.mark.parametrize("values", [[("100% & ~*+",)], [("1",), ("二",)]])
    def test_the_official_sdk_signs_our_request_the_same(self, values: list[tuple[str, ...]], tmp_path: Path) -> None:
        _, server = run(self.in_flight(wanted(values), tmp_path, self.accepts))
        headers = {name.lower(): value for name, value in server.headers[0].items()}
        names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        assert {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce"} <= set(names)
        request = SimpleNamespace(
            method="POST", pathname="/", query=asked(server), headers={name: headers[name] for name in names}
        )
        body_hash = Utils.hex_encode(Utils.hash(server.requests[0][2], "ACS3-HMAC-SHA256"))
        assert headers["x-acs-content-sha256"] == body_hash
        assert headers["authorization"] == Utils.get_authorization(
            request, "ACS3-HMAC-SHA256", body_hash, KEY, PASSWORD
        )

    def test_the_time_of_a_request_is_universal(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        adapter.clock = lambda: 1795356817.9

        async def story() -> Provider:
            async def answer(_request: web.Request, _body: bytes) -> web.Response:
                return web.json_response(OK)

            async with provider(answer) as server, HttpClient(HERE) as http:
                adapter._url = server.url
                await adapter.send(submission(1), http)
                return server

        assert run(story()).headers[0]["x-acs-date"] == "2026-11-22T14:13:37Z"

    # -- what is answered -----------------------------------------------------------------------------------------

    def test_one_bad_number_in_a_list_is_found_by_halving(self, tmp_path: Path) -> None:
        def answer(request: web.Request, _body: bytes) -> web.Response:
            bad = "13800138003" in request.query["PhoneNumbers"]
            return said("isv.MOBILE_NUMBER_ILLEGAL") if bad else web.json_response(OK)

        answers, server = run(self.sent(answer, tmp_path, 8))
        assert answers == [
            SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="isv.MOBILE_NUMBER_ILLEGAL")
            if n == 3
            else SubmitResult(True, OK["BizId"])
            for n in range(1, 9)
        ]
        assert len(server.requests) == 7

    def test_ones_own_values_refused_do_not_spoil_the_others(self, tmp_path: Path) -> None:
        def answer(request: web.Request, body: bytes) -> web.Response:
            return (
                said("isv.PARAM_LENGTH_LIMIT")
                if b"long" in request.raw_path.encode() + body
                else self.accepts(request, body)
            )

        answers, _ = run(self.in_flight(wanted([("a",), ("long",), ("b",)]), tmp_path, answer))
        assert isinstance(answers, list)
        assert [answer.outcome for answer in answers] == [None, Outcome.CONTENT_REFUSED, None]

    def test_a_text_refused_for_everybody_waits_for_a_person(self, tmp_path: Path) -> None:
        for what in (wanted([("100",)] * 3), wanted([()], ())):
            error, server = run(self.in_flight(what, tmp_path, lambda *_: said("isv.SMS_CONTENT_ILLEGAL")))
            assert isinstance(error, AccountError)
            assert error.outcome is Outcome.CONTENT_REFUSED
            assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            (("Throttling.User", 400), SubmitResult(False, outcome=Outcome.THROTTLED, code="Throttling.User")),
            (
                ("isv.AMOUNT_NOT_ENOUGH", 200),
                SubmitResult(False, outcome=Outcome.BALANCE, code="isv.AMOUNT_NOT_ENOUGH"),
            ),
            (("isp.SYSTEM_ERROR", 200), SubmitResult(False, code="isp.SYSTEM_ERROR", unconfirmed=True)),
        ],
    )
    def test_trouble_after_a_half_was_taken_is_told_of_the_rest_only(
        self, second: tuple[str, int], expected: SubmitResult, tmp_path: Path
    ) -> None:
        def answer(request: web.Request, _body: bytes) -> web.Response:
            numbers = request.query["PhoneNumbers"].split(",")
            if len(numbers) == 4:
                return said("isv.MOBILE_NUMBER_ILLEGAL")
            return web.json_response(OK) if "13800138001" in numbers else said(*second)

        answers, _ = run(self.sent(answer, tmp_path, 4))
        assert answers == [SubmitResult(True, OK["BizId"])] * 2 + [expected] * 2

    def test_trouble_before_anything_was_taken_is_the_requests(self, tmp_path: Path) -> None:
        def answer(request: web.Request, _body: bytes) -> web.Response:
            return said("isv.MOBILE_NUMBER_ILLEGAL" if request.query["PhoneNumbers"].count(",") else "Throttling.User")

        error, _ = run(self.sent(answer, tmp_path, 2))
        assert isinstance(error, Throttled)

    def test_halving_ends(self, tmp_path: Path) -> None:
        def answer(_request: web.Request, body: bytes) -> web.Response:
            return said("isv.MOBILE_NUMBER_ILLEGAL")

        async def story() -> tuple[list[SubmitResult], int]:
            requests = 0

            async def serve(line: Line) -> None:
                nonlocal requests
                while await line.request():
                    requests += 1
                    await line.answer(dumped({"Code": "isv.MOBILE_NUMBER_ILLEGAL"}))

            async with listening(serve) as url, HttpClient(HERE) as http:
                return await self.make(url, tmp_path).send(wanted([()] * 1000, ()), http), requests

        answers, requests = run(story())
        assert len(answers) == 1000
        assert requests < 250
        assert {answer.outcome for answer in answers} == {Outcome.BAD_NUMBER, Outcome.PROVIDER_FAULT}

    def test_an_unknown_code_is_kept(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(lambda *_: said("isv.BRAND_NEW"), tmp_path, 3))
        assert answers == [SubmitResult(False, outcome=Outcome.UNKNOWN, code="isv.BRAND_NEW")] * 3
        assert len(server.requests) == 1

    @pytest.mark.parametrize("code", ERROR_CODES)
    def test_every_code_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        answers, _ = run(self.sent(lambda *_: said(code), tmp_path))
        if isinstance(answers, list):
            assert [(answer.accepted, answer.outcome, answer.code) for answer in answers] == [
                (False, ERROR_CODES[code].outcome, code)
            ]
        else:
            assert (answers.outcome, answers.code) == (ERROR_CODES[code].outcome, code)
            assert isinstance(answers, OutcomeUnknown if "SYSTEM_ERROR" in code else AccountError)

    @pytest.mark.parametrize(
        ("code", "status", "kind", "outcome"),
        [
            ("Throttling", 400, Throttled, Outcome.THROTTLED),
            ("Throttling.User", 400, Throttled, Outcome.THROTTLED),
            ("Throttling.Api", 503, Throttled, Outcome.THROTTLED),
            ("InvalidAccessKeyId.NotFound", 404, AccountError, Outcome.CREDENTIALS),
            ("SignatureDoesNotMatch", 400, AccountError, Outcome.CREDENTIALS),
            ("Forbidden.RAM", 403, AccountError, Outcome.CREDENTIALS),
            ("InvalidTimeStamp.Expired", 400, AccountError, Outcome.OUR_FAULT),
            ("MissingTemplateCode", 400, AccountError, Outcome.OUR_FAULT),
            ("ServiceUnavailable", 503, OutcomeUnknown, Outcome.PROVIDER_FAULT),
            ("InternalError", 500, OutcomeUnknown, Outcome.PROVIDER_FAULT),
            ("Brand.New", 400, AccountError, Outcome.OUR_FAULT),
        ],
    )
    def test_errors_of_the_interface_itself(
        self, code: str, status: int, kind: type[ChannelError], outcome: Outcome, tmp_path: Path
    ) -> None:
        error, _ = run(self.sent(lambda *_: said(code, status), tmp_path))
        assert isinstance(error, kind)
        assert (error.outcome, error.code) == (outcome, code)

    # -- receipts and account -------------------------------------------------------------------------------------

    def test_a_single_messages_receipt_brings_our_reference_back(self, tmp_path: Path) -> None:
        _, server = run(self.sent(self.accepts, tmp_path))
        brought = report(True, "DELIVERED", out_id=asked(server)["OutId"], phone_number="13800138001")
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        assert adapter.read_callback(pushed(brought)) == [
            Receipt(ReceiptStatus.DELIVERED, "7-1", phone="+8613800138001", code="DELIVERED")
        ]
        other = adapter.read_callback(pushed(brought | {"phone_number": "13800138002"}))
        assert other == [Receipt(ReceiptStatus.DELIVERED, provider_ref=BIZ, phone="+8613800138002", code="DELIVERED")]

    @pytest.mark.parametrize("code", REPORTS)
    def test_every_report_code_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        (receipt,) = self.make("http://127.0.0.1:1", tmp_path).read_callback(pushed(report(False, code)))
        assert isinstance(receipt, Receipt)
        assert receipt.outcome is REPORTS[code]

    def test_it_acknowledges_in_the_providers_words(self, tmp_path: Path) -> None:
        answer = self.make("http://127.0.0.1:1", tmp_path).acknowledgement()
        assert json.loads(answer.body) == {"code": 0, "msg": "接收成功"}
        assert answer.content_type == "application/json"

    @pytest.mark.parametrize(("code", "kind"), [("OK", None), ("InvalidAccessKeyId.NotFound", AccountError)])
    def test_the_account_is_tested_without_a_message(
        self, code: str, kind: type[ChannelError] | None, tmp_path: Path
    ) -> None:
        async def story() -> tuple[Any, Provider]:
            async def answer(_request: web.Request, _body: bytes) -> web.Response:
                return web.json_response({"Code": code, "SmsTemplateList": [], "TotalCount": 0})

            async with provider(answer) as server, HttpClient(HERE) as http:
                try:
                    return await self.make(server.url, tmp_path).test_credentials(http), server
                except ChannelError as error:
                    return error, server

        result, server = run(story())
        assert isinstance(result, kind or str)
        assert server.headers[0]["x-acs-action"] == "QuerySmsTemplateList"

    def test_an_address_must_be_one(self) -> None:
        assert [problem.place for problem in Aliyun.check({"url": "dysmsapi.aliyuncs.com"})] == ["url"]
