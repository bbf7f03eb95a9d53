"""Tencent Cloud SMS says whether a signature may be used, for all carriers alike: codes as in the official SDK."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tencentcloud.sms.v20210111.models import DescribeSignListStatus

from smsapp.channels.http import HttpClient
from smsapp.channels.tencent import registrations as tencent
from smsapp.channels.types import ProviderRegistration
from smsapp.domain.carrier_prefixes import REGISTRARS
from smsapp.domain.registration import SAID_USABLE, RegistrationState
from tests.channels.contract import SIGNATURE
from tests.channels.test_tencent import TestTencent as Tencent
from tests.channels.wire import HERE, provider, run


def test_tencents_codes_are_those_of_the_official_sdk() -> None:
    text = inspect.getsource(DescribeSignListStatus.__init__)
    line = next(line for line in text.splitlines() if line.startswith("国内短信0表示"))
    assert {str(code) for code in tencent.STATES} == set(re.findall(r"(-?\d)表示", line))
    papers = next(line for line in text.splitlines() if "国内短信的资质状态" in line)
    assert {str(code) for code in tencent.QUALIFICATIONS} | {"1"} == set(re.findall(r"(\d)表示", papers))
    assert all(hasattr(DescribeSignListStatus, name) for name in ("SignName", "StatusCode", "QualificationStatusCode"))


@pytest.mark.parametrize(
    ("status", "papers", "state", "reasons"),
    [
        (0, 1, RegistrationState.UNKNOWN, (SAID_USABLE,)),
        (1, 0, RegistrationState.UNDER_WAY, ("AUDITING", "QUALIFICATION_PENDING")),
        (2, 1, RegistrationState.UNDER_WAY, ("REGISTERING",)),
        (-1, 2, RegistrationState.UNREGISTERED, ("NON_REGISTER", "QUALIFICATION_ERROR")),
        (7, None, RegistrationState.UNKNOWN, ()),
    ],
)
def test_tencent_says_the_same_for_all_carriers_and_is_never_green(
    status: int, papers: int | None, state: RegistrationState, reasons: tuple[str, ...], tmp_path: Path
) -> None:
    items = [
        {"SignName": SIGNATURE, "International": 0, "StatusCode": status, "QualificationStatusCode": papers},
        {"SignName": SIGNATURE, "International": 1, "StatusCode": 0},
        {"SignName": "别的", "International": 0, "StatusCode": 0},
    ]

    async def reply(_request: web.Request, body: bytes) -> web.Response:
        listed = items if b'"International": 0' in body else []
        return web.json_response({"Response": {"DescribeSignListStatusSet": listed}})

    async def story() -> Any:
        async with provider(reply) as server, HttpClient(HERE) as http:
            return await Tencent().make(server.url, tmp_path).list_registrations(http, [SIGNATURE])

    assert run(story()) == [ProviderRegistration(SIGNATURE, carrier, state, reasons) for carrier in REGISTRARS]
