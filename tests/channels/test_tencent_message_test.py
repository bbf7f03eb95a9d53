"""A test message over a Tencent Cloud account: the template and its values arrive, signed as the SDK signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace

from aiohttp import web
from tencentcloud.common.credential import Credential
from tencentcloud.sms.v20210111.sms_client import SmsClient

from tests.channels.contract import PASSWORD
from tests.channels.message_tests import MessageTestContract

KEY = "AKID-test"


class TestMessageTest(MessageTestContract):
    kind = "tencent"
    text = "{1}您好，您有{2}件商品待取。"
    names = ("1", "2")

    def settings(self, url: str) -> dict[str, str]:
        return {"secret_id": KEY, "secret_key": PASSWORD, "url": url, "app_id": "1400006666"}

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        numbers = json.loads(body)["PhoneNumberSet"]
        taken = [{"SerialNo": "2019:1", "PhoneNumber": number, "Code": "Ok", "Fee": 1} for number in numbers]
        return web.json_response({"Response": {"SendStatusSet": taken, "RequestId": "a0"}})

    def carried(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, str, list[str]]:
        credential, _, signature = headers["Authorization"].partition(" ")[2].split(", ")
        request = SimpleNamespace(method="POST", uri="/", data=body, header=headers)
        client = SmsClient(Credential(KEY, PASSWORD), "ap-guangzhou")
        theirs = client._get_tc3_signature({}, request, credential.split("/")[1], "sms", PASSWORD)
        assert signature == f"Signature={theirs}"
        document = json.loads(body)
        return document["TemplateId"], document["SignName"], document["TemplateParamSet"]
