"""乐信通: the vendor's own signature, bad numbers left out, the old interface, receipts fetched and pushed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from smsapp.channels._error_codes import Scope, seconds_to_wait
from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpAnswer, HttpClient
from smsapp.channels.lexintong.adapter import Lexintong
from smsapp.channels.lexintong.codes import ERROR_CODES
from smsapp.channels.lexintong.signing import access_key
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, PHONE, SIGNATURE, HttpContract, dumped
from tests.channels.wire import HERE, Provider, provider, run

TEXT = f"【{SIGNATURE}】您的积分 100% 到期 & 失效"
ID = "1906912345678901234"
MORNING = 1795392000.0
"""2026-11-23 08:00 in China."""


def said(result: Any, reason: str = "…", msg_id: Any = None) -> web.Response:
    answer = {"Result": result, "Reason": reason}
    return web.json_response(answer if msg_id is None else answer | {"MsgId": msg_id, "SplitCount": 1})


def xml(state: str, msg_id: str = ID) -> web.Response:
    return web.Response(
        text='<?xml version="1.0" encoding="utf-8"?><CSubmitState xmlns="http://tempuri.org/">'
        f"<State>{state}</State><MsgID>{msg_id}</MsgID><MsgState>提交成功</MsgState><Reserve>1</Reserve></CSubmitState>",
        content_type="text/xml",
    )


def push(**values: str) -> Callback:
    given = {
        "AccountID": "acct",
        "MsgID": ID,
        "MobilePhone": "13800138000",
        "SendState": "True",
        "SendResultInfo": "0",
        "SendedTime": "2026-09-24 16:28:03.000",
        "SPNumber": "10690001",
        **values,
    }
    return Callback("POST", "", {}, "&".join(f"{name}={value}" for name, value in given.items()).encode())


def report(code: str, desc: str = "", **more: Any) -> dict[str, Any]:
    return {
        "MsgID": int(ID),
        "PhoneNos": "13800138000",
        "SendTime": "2026-11-01 11:12:13",
        "ReportDesc": desc,
        "ReportCode": code,
        "ReportTime": "2026-11-01 11:12:15",
        "SpNo": "10690001",
        "OutId": "",
        "SendCode": "0",
        "AccountId": "acct",
        **more,
    }


REPLY = {
    "MsgID": 1,
    "SpNo": "1069000199",
    "PhoneNos": "13800138000",
    "MoContent": "TD",
    "MoTime": "2026-11-01 11:12:13",
}


def page(**lists: Any) -> Callback:
    return Callback("PULL", "", {}, dumped({"Result": "succ", "Reason": "", **lists}))


def arrived(news: ReceiptStatus, code: str, outcome: Outcome | None = None) -> Receipt:
    return Receipt(news, "", ID, PHONE, outcome, code)


class TestLexintong(HttpContract):
    receipts = (
        (push(ReportState="True", ReportResultInfo="DELIVRD"), [arrived(ReceiptStatus.DELIVERED, "DELIVRD")]),
        (
            push(ReportState="False", ReportResultInfo="DB:0102"),
            [arrived(ReceiptStatus.UNDELIVERED, "DB:0102", Outcome.SUSPENDED)],
        ),
        (push(ReportState="", ReportResultInfo=""), [arrived(ReceiptStatus.ACCEPTED, "0")]),
        (push(SendState="False", SendResultInfo="XY"), [arrived(ReceiptStatus.UNDELIVERED, "XY", Outcome.UNKNOWN)]),
        (
            page(
                ReportInfos=[
                    report("DELIVRD", "成功"),
                    report("0", "DELIVRD"),
                    report("MK:0001", "空号"),
                    report("", "", PhoneNos="13800138000,13800138001"),
                    report("0", "不明"),
                ]
            ),
            [
                arrived(ReceiptStatus.DELIVERED, "DELIVRD"),
                arrived(ReceiptStatus.DELIVERED, "DELIVRD"),
                arrived(ReceiptStatus.UNDELIVERED, "MK:0001", Outcome.NO_SUCH_SUBSCRIBER),
                arrived(ReceiptStatus.ACCEPTED, ""),
                Receipt(ReceiptStatus.ACCEPTED, "", ID, "+8613800138001"),
                arrived(ReceiptStatus.ACCEPTED, "0"),
            ],
        ),
        (page(MoInfos=[REPLY]), [Reply(PHONE, "TD", "1069000199")]),
        (page(ReportInfos=None, MoInfos=None), []),
    )

    def make(self, url: str, folder: Path, **values: str) -> Lexintong:
        defaults = {setting.name: setting.default for setting in Lexintong.settings}
        own = {"account": "acct", "password": PASSWORD, "product": "1012812", "url": url, "old_url": url}
        made = defaults | own | values
        assert Lexintong.check(made) == []
        return Lexintong(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return said("succ", "提交成功", int(ID))

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return said(int(code))

    # -- what is sent ---------------------------------------------------------------------------------------------

    def test_the_key_is_the_vendors(self) -> None:
        assert (
            access_key("acct", "pw", 8669604279708397403, 1795356817, "13800138000")
            == "80fd16fcf949adbe5f0dc02204fc309bdd71e50174e7512e44435465fca72b3e"
        )

    def test_the_request_is_what_sendsms_wants(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path, 2, extension="99"))
        assert answers == [SubmitResult(True, ID)] * 2
        method, path, body = server.requests[0]
        assert (method, path) == ("POST", "/EncryptionSubmit/SendSms.ashx")
        given = json.loads(body)
        assert given.pop("AccessKey") == access_key(
            "acct", PASSWORD, given.pop("Random"), given.pop("Timestamp"), "13800138001"
        )
        assert given == {
            "AccountId": "acct",
            "ProductId": 1012812,
            "PhoneNos": "13800138001,13800138002",
            "Content": TEXT,
            "ExtendNo": "99",
        }
        assert PASSWORD.encode() not in body

    def test_a_single_messages_receipt_brings_our_reference_back(self, tmp_path: Path) -> None:
        _, server = run(self.sent(self.accepts, tmp_path))
        out_id = json.loads(server.requests[0][2])["OutId"]
        assert len(out_id) <= 32
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        expected = Receipt(ReceiptStatus.DELIVERED, "7-1", phone="+8613800138001", code="DELIVRD")
        fetched = page(ReportInfos=[report("DELIVRD", OutId=out_id, PhoneNos="13800138001")])
        pushed = push(ReportState="True", ReportResultInfo="DELIVRD", ClientMsgId=out_id, MobilePhone="13800138001")
        assert adapter.read_callback(fetched) == adapter.read_callback(pushed) == [expected]
        assert adapter.read_callback(page(ReportInfos=[report("DELIVRD", OutId=out_id)])) == [
            arrived(ReceiptStatus.DELIVERED, "DELIVRD")
        ]

    def test_the_old_interface_takes_a_form_and_answers_in_xml(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(lambda *_: xml("0"), tmp_path, 2, interface="old"))
        assert answers == [SubmitResult(True, ID)] * 2
        method, path, body = server.requests[0]
        assert (method, path) == ("POST", "/submitdata/Service.asmx/g_Submit")
        assert dict(parse_qsl(body.decode(), keep_blank_values=True)) == {
            "sname": "acct",
            "spwd": PASSWORD,
            "scorpid": "",
            "sprdid": "1012812",
            "sdst": "13800138001,13800138002",
            "smsg": TEXT,
        }

    def test_the_old_interfaces_codes_are_the_same(self, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: xml("1025", "0"), tmp_path, interface="old"))
        assert isinstance(result, AccountError)
        assert (result.outcome, result.code) == (Outcome.BALANCE, "1025")

    @pytest.mark.parametrize("body", ["<html>hello</html>", "<CSubmitState></CSubmitState>", ""])
    def test_the_old_interface_saying_nothing_is_unclear(self, body: str, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: web.Response(text=body), tmp_path, interface="old"))
        assert isinstance(result, OutcomeUnknown)

    def test_http_to_a_public_host_takes_a_switch(self, tmp_path: Path) -> None:
        async def story() -> str:
            async with HttpClient() as http:
                with pytest.raises(AccountError) as caught:
                    await self.make("http://1.1.1.1", tmp_path).test_credentials(http)
                return caught.value.code

        assert run(story()) == "plain_http"
        assert self.make("http://x.example", tmp_path)._plain_http is False
        assert self.make("http://x.example", tmp_path, plain_http="1")._plain_http is True

    # -- what is answered -----------------------------------------------------------------------------------------

    def test_bad_numbers_the_provider_names_are_left_out(self, tmp_path: Path) -> None:
        def answer(request: web.Request, body: bytes) -> web.Response:
            bad = b"13800138002" in body
            return said(1023, "号码不规则[13800138002]") if bad else self.accepts(request, body)

        answers, server = run(self.sent(answer, tmp_path, 3))
        assert answers == [
            SubmitResult(True, ID),
            SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="1023"),
            SubmitResult(True, ID),
        ]
        assert len(server.requests) == 2

    def test_bad_numbers_with_an_id_leave_the_others_unconfirmed(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(lambda *_: said(1023, "[13800138002]", int(ID)), tmp_path, 2))
        assert answers == [
            SubmitResult(False, ID, code="1023", unconfirmed=True),
            SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="1023"),
        ]
        assert len(server.requests) == 1

    def test_bad_numbers_nobody_named_are_found_by_halving(self, tmp_path: Path) -> None:
        def answer(request: web.Request, body: bytes) -> web.Response:
            return said("1023") if b"13800138002" in body else self.accepts(request, body)

        answers, _ = run(self.sent(answer, tmp_path, 3))
        assert isinstance(answers, list)
        assert [answer.outcome for answer in answers] == [None, Outcome.BAD_NUMBER, None]

    @pytest.mark.parametrize("code", ERROR_CODES)
    def test_every_code_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: said(int(code)), tmp_path))
        meaning = ERROR_CODES[code]
        if meaning.scope in {Scope.RECIPIENT, Scope.TEXT}:
            assert result == [SubmitResult(False, outcome=meaning.outcome, code=code)]
            return
        kind = {Scope.TIMING: Throttled, Scope.ACCOUNT: AccountError, Scope.UNKNOWN: OutcomeUnknown}[meaning.scope]
        assert isinstance(result, kind)
        assert (result.outcome, result.code) == (meaning.outcome, code)

    @pytest.mark.parametrize("code", ["1027", "1040"])
    def test_accepted_but_not_saved_is_unconfirmed_and_keeps_its_id(self, code: str, tmp_path: Path) -> None:
        answers, _ = run(self.sent(lambda *_: said(code, "…", int(ID)), tmp_path, 2))
        assert answers == [SubmitResult(False, ID, code=code, unconfirmed=True)] * 2

    def test_an_unknown_code_is_kept(self, tmp_path: Path) -> None:
        answers, _ = run(self.sent(lambda *_: said("4711"), tmp_path, 2))
        assert answers == [SubmitResult(False, outcome=Outcome.UNKNOWN, code="4711")] * 2

    def test_out_of_hours_waits_until_the_morning(self, tmp_path: Path) -> None:
        assert seconds_to_wait(ERROR_CODES["1018"], HttpAnswer(200, {}, b""), MORNING - 3600) == 3600
        result, _ = run(self.sent(lambda *_: said(1018, "Begin=08:00 End=20:00"), tmp_path))
        assert isinstance(result, Throttled)
        assert result.outcome is Outcome.OUTSIDE_HOURS

    # -- pulling and account --------------------------------------------------------------------------------------

    async def fetched(self, folder: Path, answer: Callable[[str], web.Response], **values: str) -> tuple[Any, Provider]:
        """Pull everything; return the news or the error, and the provider."""

        async def reply(request: web.Request, _body: bytes) -> web.Response:
            return answer(request.path.rpartition("/")[2])

        async with provider(reply) as server, HttpClient(HERE) as http:
            adapter = self.make(server.url, folder, **values)
            try:
                return [
                    news async for callback in adapter.pull(http) for news in adapter.read_callback(callback)
                ], server
            except ChannelError as trouble:
                return trouble, server

    def test_receipts_and_replies_are_fetched_until_none_are_left(self, tmp_path: Path) -> None:
        left = [[report("DELIVRD")], [report("MK:0001")], []]

        def answer(what: str) -> web.Response:
            if what == "GetReport.ashx":
                return web.json_response({"Result": "succ", "ReportInfos": left.pop(0)})
            return web.json_response({"Result": "succ", "IsFull": False, "MoInfos": [REPLY]})

        news, server = run(self.fetched(tmp_path, answer))
        assert news == [
            arrived(ReceiptStatus.DELIVERED, "DELIVRD"),
            arrived(ReceiptStatus.UNDELIVERED, "MK:0001", Outcome.NO_SUCH_SUBSCRIBER),
            Reply(PHONE, "TD", "1069000199"),
        ]
        assert len(server.requests) == 5, "three pages of receipts, one of replies and the same once more"
        asked = json.loads(server.requests[0][2])
        assert asked.pop("AccessKey") == access_key("acct", PASSWORD, asked.pop("Random"), asked.pop("Timestamp"))
        assert asked == {"AccountId": "acct", "OutId": "", "ReportTime": ""}

    def test_a_code_for_nothing_waiting_is_no_error(self, tmp_path: Path) -> None:
        news, server = run(self.fetched(tmp_path, lambda _: said("3001", "没有数据")))
        assert (news, len(server.requests)) == ([], 2)

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (lambda _: said("1013"), AccountError),
            (lambda _: web.Response(text="<html>"), OutcomeUnknown),
            (lambda _: web.Response(status=502), OutcomeUnknown),
            (lambda _: web.Response(status=429), Throttled),
        ],
    )
    def test_an_account_that_may_not_fetch_says_so(
        self, answer: Callable[[str], web.Response], kind: type[ChannelError], tmp_path: Path
    ) -> None:
        assert isinstance(run(self.fetched(tmp_path, answer))[0], kind)

    def test_nothing_is_fetched_if_the_provider_pushes(self, tmp_path: Path) -> None:
        news, server = run(self.fetched(tmp_path, lambda _: said("1013"), pull=""))
        assert (news, server.requests) == ([], [])

    async def tried(self, answer: dict[str, Any], folder: Path) -> tuple[Any, Provider]:
        async def reply(_request: web.Request, _body: bytes) -> web.Response:
            return web.json_response(answer)

        async with provider(reply) as server, HttpClient(HERE) as http:
            try:
                return await self.make(server.url, folder).test_credentials(http), server
            except ChannelError as trouble:
                return trouble, server

    def test_the_account_says_what_is_left(self, tmp_path: Path) -> None:
        balance, server = run(self.tried({"State": 0, "Remain": 98231}, tmp_path))
        assert balance == "98231"
        assert server.requests[0][1] == "/json/Query/GetRemain"
        assert json.loads(server.requests[0][2]) == {"sname": "acct", "spwd": PASSWORD, "sprdid": "1012812"}
        assert isinstance(run(self.tried({"State": 1013}, tmp_path))[0], AccountError)
        assert isinstance(run(self.tried({"State": 4711}, tmp_path))[0], AccountError)

    @pytest.mark.parametrize(
        "callback",
        [
            page(ReportInfos=[{"PhoneNos": "13800138000"}]),
            page(MoInfos=[{"MoContent": "TD"}]),
            push(SendState="", ReportState=""),
            push(MsgID=""),
        ],
    )
    def test_news_that_say_nothing_are_value_errors(self, callback: Callback, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"."):
            self.make("http://127.0.0.1:1", tmp_path).read_callback(callback)

    def test_addresses_must_be_some(self) -> None:
        assert [problem.place for problem in Lexintong.check({"url": "api.51welink.com", "old_url": ""})] == [
            "url",
            "old_url",
        ]
