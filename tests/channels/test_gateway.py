"""The generic gateway: what its settings say is what is sent, read and believed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

import pytest
from aiohttp import encode_basic_auth, web

from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.notation import for_form, for_url
from smsapp.channels.gateway.presets import JASMIN, KANNEL
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp.receipts import smsc_code
from smsapp.channels.types import Balance, Callback, Receipt, ReceiptStatus, Reply, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, SIGNATURE, HttpContract, dumped, submission
from tests.channels.wire import HERE, provider, run

TEXT = f"【{SIGNATURE}】您的积分 100% 到期 & 失效"
CALLBACK = "https://sms.example.com/callbacks/tok-en"


def query(**values: str) -> Callback:
    return Callback("GET", "&".join(f"{name}={value}" for name, value in values.items()), {}, b"")


def gateway(base: str, folder: Path, preset: Any = None, **values: str) -> Gateway:
    """Return a gateway with a preset's values, at this address."""
    defaults = {setting.name: setting.default for setting in Gateway.settings} | dict(preset.values if preset else {})
    here = {
        name: value.replace("http://127.0.0.1:13013", base).replace("http://127.0.0.1:1401", base)
        for name, value in defaults.items()
    }
    made = here | {"username": "tester", "password": PASSWORD, "token": PASSWORD + "2", "sender": "10690001"} | values
    assert Gateway.check(made) == []
    return Gateway(made, folder)


class TestKannel(HttpContract):
    receipts = (
        (query(ref="7-1", status="1", code="ACK/"), [Receipt(ReceiptStatus.DELIVERED, "7-1", code="ACK/")]),
        (query(ref="7-1", status="8", code="ACK%2F"), [Receipt(ReceiptStatus.ACCEPTED, "7-1", code="ACK/")]),
        (query(ref="7-1", status="4", code=""), [Receipt(ReceiptStatus.ACCEPTED, "7-1", code="4")]),
        (
            query(ref="7-1", status="2", code="whatever"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", outcome=Outcome.UNKNOWN, code="whatever")],
        ),
        (
            query(ref="7-1", status="16", code="NACK%2F0x0000000b%2FInvalid%20Destination%20Address"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", outcome=Outcome.BAD_NUMBER, code="0x0000000b")],
        ),
        (
            query(ref="7-1", status="2", code="id%3A9+sub%3A001+stat%3AEXPIRED+err%3A000+text%3AHello+stat%3AUNDELIV"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", outcome=Outcome.EXPIRED, code="EXPIRED")],
        ),
        (query(**{"from": "%2B8613800138000", "reply": "%E9%80%80%E8%AE%A2"}), [Reply("+8613800138000", "退订")]),
    )

    def make(self, url: str, folder: Path, **values: str) -> Gateway:
        return gateway(url, folder, KANNEL, **values)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=202, text="0: Accepted for delivery")

    unknown_code = "No such luck"

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return web.Response(status=409, text=f"{code}, sorry")

    def test_the_request_is_what_sendsms_wants(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path))
        assert answers == [SubmitResult(True)]
        method, path, body = server.requests[0]
        assert (method, body) == ("GET", b"")
        given = {name: value[0] for name, value in parse_qs(urlsplit(path).query, strict_parsing=True).items()}
        assert given == {
            "username": "tester",
            "password": PASSWORD,
            "from": "10690001",
            "to": "+8613800138001",
            "text": TEXT,
            "coding": "2",
            "charset": "UTF-8",
            "dlr-mask": "19",
            "dlr-url": f"{CALLBACK}?ref=7-1&status=%d&code=%A",
        }

    @pytest.mark.parametrize(
        ("status", "text", "meaning"),
        [
            (403, "Authorization failed for sendsms", (AccountError, Outcome.CREDENTIALS)),
            (403, "Not routable. Do not try again.", Outcome.PROVIDER_FAULT),
            (400, "Number(s) has/have been denied by white- and/or black-lists.", Outcome.BAD_NUMBER),
            (400, "Sender missing and no global set, rejected", (AccountError, Outcome.OUR_FAULT)),
            (400, "Missing receiver number, rejected", (AccountError, Outcome.OUR_FAULT)),
            (400, "DLR-URL field misformed, rejected", (AccountError, Outcome.OUR_FAULT)),
            (400, "Something new", Outcome.UNKNOWN),
            (503, "Temporal failure, try again later.", (OutcomeUnknown, Outcome.PROVIDER_FAULT)),
        ],
    )
    def test_its_refusals_are_told_apart(self, status: int, text: str, meaning: Any, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: web.Response(status=status, text=text), tmp_path))
        if isinstance(meaning, Outcome):
            assert isinstance(result, list)
            assert (result[0].accepted, result[0].outcome) == (False, meaning)
            assert result[0].code
            assert result[0].code in text
        else:
            assert isinstance(result, meaning[0])
            assert result.outcome is meaning[1]

    def test_a_missing_receiver_proves_that_the_account_is_good(self, tmp_path: Path) -> None:
        good = web.Response(status=400, text="Missing receiver number, rejected")
        bad = web.Response(status=403, text="Authorization failed for sendsms")
        assert run(asked(self, tmp_path, good)) == "Missing receiver"
        error = run(asked(self, tmp_path, bad))
        assert isinstance(error, AccountError)
        assert error.outcome is Outcome.CREDENTIALS

    def test_several_numbers_share_a_request_and_their_receipts_are_told_apart_by_number(self, tmp_path: Path) -> None:
        values = {"per_request": "3", "receipt_phone": "phone"}
        answers, server = run(self.sent(self.accepts, tmp_path, 3, **values))
        assert "&to=%2B8613800138001%20%2B8613800138002%20%2B8613800138003&" in server.requests[0][1]
        assert answers == [SubmitResult(True, "7-1")] * 3
        channel = self.make("http://127.0.0.1:1", tmp_path, **values)
        assert (channel.per_request, channel.equal_texts_only, channel.receipts_by_provider_ref) == (3, True, True)
        news = channel.read_callback(query(ref="7-1", status="1", phone="%2B8613800138002"))
        assert news == [Receipt(ReceiptStatus.DELIVERED, "", "7-1", "+8613800138002", code="1")]

    def test_without_an_address_of_ours_no_receipt_is_asked_for(self, tmp_path: Path) -> None:
        async def story() -> str:
            async def answer(request: web.Request, body: bytes) -> web.Response:
                return self.accepts(request, body)

            async with provider(answer) as server, HttpClient(HERE) as http:
                await self.make(server.url, tmp_path).send(submission(1, ""), http)
                return server.requests[0][1]

        assert run(story()).endswith("&dlr-url=")


async def asked(test: HttpContract, folder: Path, response: web.Response) -> str | ChannelError:
    async def answer(_request: web.Request, _body: bytes) -> web.Response:
        return response

    async with provider(answer) as server, HttpClient(HERE) as http:
        try:
            return await test.make(server.url, folder).test_credentials(http)
        except ChannelError as error:
            return error


JASMIN_REPLY = (
    b"id=6e6c30b7-95fa-4a7a-a33e-41206980e1d7&from=8613900000037&to=10690001&origin-connector=smsc1"
    b"&content=%90%00%8B%A2&binary=90008ba2&priority=0&coding=%08"
)
"""As Jasmin 0.11.0 posts a Chinese reply: 16-bit text cannot be read from `content`."""


class TestJasmin(HttpContract):
    receipts = (
        (
            Callback("POST", "", {}, JASMIN_REPLY),
            [Reply("+8613900000037", "退订", provider_ref="6e6c30b7-95fa-4a7a-a33e-41206980e1d7")],
        ),
        (
            query(**{"id": "1", "from": "8613900000037", "content": "TD", "binary": "5444", "coding": "%00"}),
            [Reply("+8613900000037", "TD", provider_ref="1")],
        ),
        (
            query(ref="7-1", id="07033084", message_status="DELIVRD", level="2"),
            [Receipt(ReceiptStatus.DELIVERED, "7-1", "07033084", code="DELIVRD")],
        ),
        (
            query(ref="7-1", id="07033084", message_status="ESME_ROK", level="1"),
            [Receipt(ReceiptStatus.ACCEPTED, "7-1", "07033084", code="ESME_ROK")],
        ),
        (
            query(ref="7-1", id="07033084", message_status="ESME_RINVDSTADR", level="1"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", "07033084", outcome=Outcome.BAD_NUMBER, code="ESME_RINVDSTADR")],
        ),
        (
            query(ref="7-1", id="07033084", message_status="EXPIRED", level="2"),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", "07033084", outcome=Outcome.EXPIRED, code="EXPIRED")],
        ),
    )

    def make(self, url: str, folder: Path, **values: str) -> Gateway:
        return gateway(url, folder, JASMIN, **values)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return web.Response(text='Success "07033084-5cfd-4812-90a4-e4d24ffb6e3d"')

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return web.Response(status=406, text=f'Error "{code}"')

    def test_chinese_goes_as_hexadecimal_and_the_id_comes_back(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path))
        assert answers == [SubmitResult(True, "07033084-5cfd-4812-90a4-e4d24ffb6e3d")]
        given = parse_qs(urlsplit(server.requests[0][1]).query)
        assert bytes.fromhex(given["hex-content"][0]).decode("utf-16-be") == TEXT
        assert given["to"] == ["8613800138001"]
        assert given["dlr-url"] == [f"{CALLBACK}?ref=7-1"]

    def test_it_wants_to_hear_its_name(self, tmp_path: Path) -> None:
        assert self.make("http://127.0.0.1:1", tmp_path).acknowledgement().body == b"ACK/Jasmin"

    @pytest.mark.parametrize(
        ("status", "text", "outcome"),
        [
            (403, 'Error "Authentication failure for username:tester"', Outcome.CREDENTIALS),
            (403, 'Error "User throughput exceeded"', Outcome.QUOTA),
            (400, 'Error "Mandatory argument [to] is not found."', Outcome.OUR_FAULT),
        ],
    )
    def test_its_errors_wait_for_a_person(self, status: int, text: str, outcome: Outcome, tmp_path: Path) -> None:
        result, _ = run(self.sent(lambda *_: web.Response(status=status, text=text), tmp_path))
        assert isinstance(result, AccountError)
        assert result.outcome is outcome
        assert "tester" not in result.code

    def test_the_balance_shows_that_the_account_answers(self, tmp_path: Path) -> None:
        answer = web.json_response({"balance": "ND", "sms_count": "ND"})
        assert run(asked(self, tmp_path, answer)) == "ND"

    @pytest.mark.parametrize(("said", "left"), [("ND", None), ("NaN", None), (12.5, Balance(Decimal("12.5"), "EUR"))])
    def test_a_balance_is_a_number_or_unlimited(self, said: object, left: Balance | None, tmp_path: Path) -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.json_response({"balance": said})

        async def story() -> Balance | None:
            async with provider(answer) as server, HttpClient(HERE) as http:
                return await self.make(server.url, tmp_path, balance_currency="eur").balance(http)

        assert run(story()) == left


class TestJson(HttpContract):
    """A made-up JSON gateway that knows its own ids only."""

    VALUES = {
        "method": "POST",
        "headers": "X-Token: {token}\nX-Text: {text}",
        "body_format": "json",
        "body": '{"to": "{to}", "text": "{text}", "bare": "{unsigned_text}", "sign": "{signature}", '
        '"cb": "{receipt_url}"}',
        "basic_auth": "1",
        "number_format": "national",
        "accepted_where": "$.code",
        "accepted_values": "0, OK",
        "id_where": "$.data.ids[0]",
        "code_where": "$.code",
        "rules": "code:1003 = refused bad_number\n# a comment\n\n2xx code:1009 = throttled\n"
        "code:1010 = unclear\n200 /paused/ = misconfigured\n200 code:77 = accepted",
        "receipt_url": "{callback_url}",
        "receipt_format": "json",
        "receipt_list": "$.reports",
        "receipt_ref": "",
        "receipt_id": "$.id",
        "receipt_phone": "mobile",
        "receipt_status": "state.word",
        "receipt_code": "state.code",
        "receipt_outcomes": "MK:0001 = switched_off",
        "reply_text": "content",
        "reply_phone": "mobile",
    }
    receipts = (
        (
            Callback(
                "POST",
                "",
                {},
                dumped(
                    {
                        "reports": [
                            {"id": 12, "mobile": "13800138001", "state": {"word": "DELIVRD"}},
                            {"id": 13, "mobile": "13800138002", "state": {"word": "UNDELIV", "code": "MK:0001"}},
                            {"id": 14, "mobile": "13800138003", "state": {"word": "NEVER HEARD", "code": None}},
                            {"mobile": "13800138003", "content": "TD"},
                        ]
                    }
                ),
            ),
            [
                Receipt(ReceiptStatus.DELIVERED, "", "12", "+8613800138001", code="DELIVRD"),
                Receipt(ReceiptStatus.UNDELIVERED, "", "13", "+8613800138002", Outcome.SWITCHED_OFF, "MK:0001"),
                Receipt(ReceiptStatus.ACCEPTED, "", "14", "+8613800138003", code="NEVER HEARD"),
                Reply("+8613800138003", "TD"),
            ],
        ),
    )

    def make(self, url: str, folder: Path, **values: str) -> Gateway:
        return gateway(url, folder, url=url + "/send", **(self.VALUES | values))

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"code": 0, "data": {"ids": ["abc"]}})

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return web.json_response({"code": int(code), "data": {}})

    def test_values_are_encoded_where_they_stand(self, tmp_path: Path) -> None:
        answers, server = run(self.sent(self.accepts, tmp_path))
        assert answers == [SubmitResult(True, "abc")]
        sent = json.loads(server.requests[0][2])
        assert sent == {"to": "13800138001", "text": TEXT, "bare": TEXT[6:], "sign": SIGNATURE, "cb": CALLBACK}
        headers = server.headers[0]
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert headers["X-Token"] == PASSWORD + "2"
        assert headers["Authorization"] == encode_basic_auth("tester", PASSWORD)

    @pytest.mark.parametrize(
        ("code", "meaning"),
        [
            ("OK", True),
            (77, True),
            (1003, Outcome.BAD_NUMBER),
            (4711, Outcome.UNKNOWN),
            (1009, Throttled),
            (1010, OutcomeUnknown),
            ("paused", AccountError),
            (None, OutcomeUnknown),
        ],
    )
    def test_codes_mean_what_the_rules_say_and_unknown_ones_are_kept(
        self, code: Any, meaning: Any, tmp_path: Path
    ) -> None:
        result, _ = run(self.sent(lambda *_: web.json_response({"code": code}), tmp_path))
        if meaning is True:
            assert result == [SubmitResult(True)]
        elif isinstance(meaning, Outcome):
            assert result == [SubmitResult(False, outcome=meaning, code=str(code))]
        else:
            assert isinstance(result, meaning)

    def test_receipts_are_found_by_the_gateways_id(self, tmp_path: Path) -> None:
        assert self.make("http://127.0.0.1:1", tmp_path).receipts_by_provider_ref

    def test_the_account_cannot_be_checked_without_an_address_for_it(self, tmp_path: Path) -> None:
        assert "test message" in str(run(asked(self, tmp_path, web.Response())))


@pytest.mark.parametrize(
    ("body_format", "body", "expected"),
    [
        ("form", "to={to}&text={text}", "to=8613800138001&text=%E3%80%90%E9%9D%92"),
        ("xml", '<m to="{to}">{text}</m>', f'<m to="8613800138001">【{SIGNATURE}】您的积分 100% 到期 &amp; 失效</m>'),
        ("text", "{to} {text}", f"8613800138001 {TEXT}"),
    ],
)
def test_other_bodies(body_format: str, body: str, expected: str, tmp_path: Path) -> None:
    async def story() -> str:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response()

        async with provider(answer) as server, HttpClient(HERE) as http:
            channel = gateway("", tmp_path, url=server.url, method="POST", body_format=body_format, body=body)
            assert (await channel.send(submission(1), http))[0].accepted
            return server.requests[0][2].decode()

    assert run(story()).startswith(expected)


def test_another_character_set_holds_for_address_and_body(tmp_path: Path) -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response()

        async with provider(answer) as server, HttpClient(HERE) as http:
            channel = gateway(
                "", tmp_path, url=server.url + "/?t={signature}", body_format="text", body="{text}", charset="gb18030"
            )
            await channel.send(submission(1), http)
            _, path, body = server.requests[0]
            assert path == "/?t=" + "".join(f"%{byte:02X}" for byte in SIGNATURE.encode("gb18030"))
            assert body.decode("gb18030") == TEXT

    run(story())


def test_numbers_come_back_in_one_form(tmp_path: Path) -> None:
    channel = gateway("https://x", tmp_path, url="https://x/", receipt_phone="p", number_format="national")
    for written, phone in {
        "13800138000": "+8613800138000",
        "%2B8613800138000": "+8613800138000",
        "008613800138000": "+8613800138000",
        "85261234567": "+85261234567",
        "15122345678": "+8615122345678",
        "013800138000": "+8613800138000",
        "10690000": "",
        "": "",
    }.items():
        news = channel.read_callback(query(ref="1-1", status="DELIVRD", p=written))[0]
        assert news.phone == phone


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("url", "https://x/?to={number}", "gateway_placeholder"),
        ("url", "ftp://x/", "setting_address"),
        ("url", "https://{to}/", "setting_address"),
        ("url", "https://[x/", "setting_address"),
        ("check_url", "https://x/?to={to}", "gateway_placeholder"),
        ("receipt_url", "{callback_url}?password={password}", "gateway_placeholder"),
        ("accepted_where", "/unclosed(/", "gateway_place"),
        ("accepted_where", "/", "gateway_place"),
        ("id_where", "$", "gateway_place"),
        ("rules", "403 = nonsense", "gateway_rule"),
        ("rules", "403 = refused nonsense", "gateway_rule"),
        ("rules", "403", "gateway_rule"),
        ("rules", "= refused", "gateway_rule"),
        ("rules", "abc = refused", "gateway_rule"),
        ("rules", "/(/ = refused", "gateway_rule"),
        ("receipt_outcomes", "X = nonsense", "setting_outcome"),
        ("receipt_outcomes", "= expired", "setting_outcome"),
        ("headers", "no colon", "gateway_header"),
        ("headers", "bad name: x", "gateway_header"),
        ("per_request", "5", "gateway_batch_phone"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_their_place(name: str, value: str, code: str) -> None:
    values = (
        {setting.name: setting.default for setting in Gateway.settings}
        | {"url": "https://example.com/"}
        | {name: value}
    )
    problems = Gateway.check(values)
    assert [problem.code for problem in problems] == [code]
    assert problems[0].place == ("receipt_phone" if name == "per_request" else name)


@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_what_is_percent_encoded_is_read_as_it_was_and_holds_nothing_an_address_would_cut(charset: str) -> None:
    text = "【青禾】a b+c%20&d=é/?#\n~_.-😀 Şş"
    for encoded, read in ((for_url(text, charset), unquote), (for_form(text, charset), unquote_plus)):
        assert read(encoded, encoding=charset) == text
        assert not set(encoded) & set(" &=/?#\n")
        assert encoded.isascii()
    assert for_url("\ud800", charset) == "%3F"


@pytest.mark.parametrize(
    ("handed_on", "code", "outcome"),
    [
        ("NACK/0x0000000b/Invalid Destination Address", "0x0000000b", Outcome.BAD_NUMBER),
        ("NACK/11/Invalid Destination Address", "0x0000000b", Outcome.BAD_NUMBER),
        ("NACK/0x00000014/Message Queue Full", "0x00000014", Outcome.THROTTLED),
        ("NACK/0x00000045", "0x00000045", Outcome.PROVIDER_FAULT),
        ("NACK/0x00000411/Vendor-specific", "0x00000411", Outcome.UNKNOWN),
        ("id:1 sub:001 dlvrd:000 done date:2603021001 stat:UNDELIV err:027 text:Hi", "UNDELIV/027",
         Outcome.UNKNOWN),
        ("id:2 stat:REJECTD err:000 text:", "REJECTD", Outcome.BLOCKED_BY_CARRIER),
        ("id:3 stat:EXPIRED err: text:stat:DELIVRD", "EXPIRED", Outcome.EXPIRED),
        ("id:4 stat:DELIVRD err:000", "DELIVRD", None),
        ("ACK/", "ACK/", None),
        ("busy", "busy", None),
        ("", "", None),
    ],
)  # fmt: skip
def test_what_an_smsc_said_is_read_as_its_state_and_code(handed_on: str, code: str, outcome: Outcome | None) -> None:
    assert smsc_code(handed_on) == (code, outcome)


@pytest.mark.parametrize(
    ("url", "is_bound"),
    [
        ("/?tpl={template_code}&to={to}", True),
        ("/?tpl={template_code}&t={text}", False),
        ("/?t={text_hex}", False),
    ],
)
def test_a_gateway_that_is_told_a_template_and_no_text_needs_one(url: str, is_bound: bool, tmp_path: Path) -> None:
    made = gateway("https://sms.example.com", tmp_path, url=f"https://sms.example.com{url}", body="")
    assert made.needs_template is is_bound
