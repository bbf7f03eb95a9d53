"""Alibaba Cloud SMS says what each carrier has registered: our reading and the official SDK's, against a stand-in."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from smsapp.channels.aliyun.registrations import CARRIERS, STATES
from smsapp.channels.errors import AccountError, ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import ProviderRegistration
from smsapp.domain.carrier import CHINA
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.registration import LIGHTS, Light, RegistrationState
from smsapp.labels import registrations as words
from tests.channels.contract import PASSWORD, SIGNATURE
from tests.channels.test_aliyun import KEY
from tests.channels.test_aliyun import TestAliyun as Aliyun
from tests.channels.wire import HERE, provider, run

DETAIL = "GetSmsSignResponseBodySignIspRegisterDetailList"
ANSWER: dict[str, Any] = {
    "Code": "OK",
    "SignName": SIGNATURE,
    "SignIspRegisterDetailList": [
        {"OperatorCode": "mobile", "OperatorCompleteTime": "2026-11-12 08:30:00", "RegisterStatus": 3},
        {
            "OperatorCode": "unicom",
            "RegisterStatus": -1,
            "RegisterStatusReasons": [{"ReasonCode": "REGISTERING", "ReasonDescList": ["…"]}],
        },
        {
            "OperatorCode": "telecom",
            "OperatorCompleteTime": "2026-10-01 00:00:00",
            "RegisterStatus": 2,
            "RegisterStatusReasons": [{"ReasonCode": "NO_SEND_RECORD"}, {"ReasonCode": "BRAND_NEW"}],
        },
    ],
}


def documented(model: Any, pattern: str) -> set[str]:
    """Return what the comments of an official model list as values."""
    return set(re.findall(pattern, inspect.getsource(model)))


def test_states_carriers_and_reasons_are_those_of_the_official_sdk() -> None:
    detail = getattr(models, DETAIL)
    assert {str(code) for code in STATES} == documented(detail, r"# - \*\*(-?\d+)\*\*")
    assert set(CARRIERS) == documented(detail, r"# - \*\*([a-z]+)\*\*")
    reasons = getattr(models, f"{DETAIL}RegisterStatusReasons")
    assert documented(reasons, r"# - \*\*([A-Z_]+)\*\*") <= set(words.REASONS)


def test_fields_are_named_as_the_official_sdk_names_them() -> None:
    # The SDK reads our stand-in's answer and writes it again: a field that it does not know would be lost.
    details = models.GetSmsSignResponseBody().from_map(ANSWER).to_map()["SignIspRegisterDetailList"]
    for written, answered in zip(details, ANSWER["SignIspRegisterDetailList"], strict=True):
        assert {name: written[name] for name in answered if name != "RegisterStatusReasons"} == {
            name: value for name, value in answered.items() if name != "RegisterStatusReasons"
        }
        reasons = [reason["ReasonCode"] for reason in answered.get("RegisterStatusReasons", ())]
        assert [reason["ReasonCode"] for reason in written["RegisterStatusReasons"]] == reasons


async def asked(folder: Path, answers: dict[str, Any], signatures: list[str]) -> Any:
    async def reply(request: web.Request, _body: bytes) -> web.Response:
        assert request.headers["x-acs-action"] == "GetSmsSign"
        return web.json_response(answers[request.query["SignName"]])

    async with provider(reply) as server, HttpClient(HERE) as http:
        try:
            return await Aliyun().make(server.url, folder).list_registrations(http, signatures)
        except ChannelError as error:
            return error


def test_each_carrier_says_its_state_with_reasons_and_the_moment(tmp_path: Path) -> None:
    registrations = run(asked(tmp_path, {SIGNATURE: ANSWER}, [SIGNATURE]))
    assert registrations == [
        ProviderRegistration(
            SIGNATURE, Carrier.MOBILE, RegistrationState.REGISTERED, (), dt.datetime(2026, 11, 12, 8, 30, tzinfo=CHINA)
        ),
        ProviderRegistration(SIGNATURE, Carrier.UNICOM, RegistrationState.UNDER_WAY, ("REGISTERING",)),
        ProviderRegistration(
            SIGNATURE,
            Carrier.TELECOM,
            RegistrationState.LAPSED,
            ("NO_SEND_RECORD", "BRAND_NEW"),
            dt.datetime(2026, 10, 1, tzinfo=CHINA),
        ),
    ]


@pytest.mark.parametrize(
    "details",
    [None, [], "?", [None], [{"OperatorCode": "mobile"}], [{"OperatorCode": "mobile", "RegisterStatus": 9}],
     [{"OperatorCode": "broadcast", "RegisterStatus": 3}], [{"OperatorCode": "mobile", "RegisterStatus": True}]],
)  # fmt: skip
def test_whatever_is_not_said_is_unknown_and_never_green(details: Any, tmp_path: Path) -> None:
    answer = {"Code": "OK", "SignIspRegisterDetailList": details}
    registrations = run(asked(tmp_path, {SIGNATURE: answer}, [SIGNATURE]))
    assert [registration.carrier for registration in registrations] == list(REGISTRARS)
    assert {LIGHTS[registration.state] for registration in registrations} == {Light.GREY}


def test_one_unknown_signature_hides_no_other_but_an_account_that_may_not_ask_is_an_error(tmp_path: Path) -> None:
    gone = {"Code": "isv.SMS_SIGN_ILLEGAL"}
    registrations = run(asked(tmp_path, {"别的": gone, SIGNATURE: ANSWER}, ["别的", SIGNATURE]))
    assert {registration.signature for registration in registrations} == {SIGNATURE}
    error = run(asked(tmp_path, {SIGNATURE: {"Code": "isp.RAM_PERMISSION_DENY"}}, [SIGNATURE]))
    assert isinstance(error, AccountError)


def test_the_official_client_asks_the_stand_in_the_same_question(tmp_path: Path) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    async def reply(request: web.Request, _body: bytes) -> web.Response:
        seen.append((request.headers["x-acs-action"], dict(request.query)))
        return web.json_response(ANSWER)

    async def story() -> Any:
        async with provider(reply) as server, HttpClient(HERE) as http:
            ours = await Aliyun().make(server.url, tmp_path).list_registrations(http, [SIGNATURE])
            address = server.url.removeprefix("http://")
            config = Config(access_key_id=KEY, access_key_secret=PASSWORD, endpoint=address, protocol="HTTP")
            theirs = await Client(config).get_sms_sign_async(models.GetSmsSignRequest(sign_name=SIGNATURE))
            return ours, theirs.body

    ours, body = run(story())
    assert seen[0] == seen[1] == ("GetSmsSign", {"SignName": SIGNATURE})
    details = {detail.operator_code: detail for detail in body.sign_isp_register_detail_list}
    for registration in ours:
        detail = details[registration.carrier]
        assert STATES[detail.register_status] is registration.state
        assert tuple(reason.reason_code for reason in detail.register_status_reasons or ()) == registration.reasons
