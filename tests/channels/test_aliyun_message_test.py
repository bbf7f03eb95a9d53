"""A test message over an Alibaba Cloud account: the template and its values arrive, signed as the SDK signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from alibabacloud_tea_openapi.utils import Utils

from tests.channels.contract import PASSWORD
from tests.channels.message_tests import MessageTestContract

KEY = "LTAI-test"


class TestMessageTest(MessageTestContract):
    kind = "aliyun"
    text = "${name}您好，您有${n}件商品待取。"
    names = ("name", "n")

    def settings(self, url: str) -> dict[str, str]:
        return {"access_key_id": KEY, "access_key_secret": PASSWORD, "url": url}

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"Code": "OK", "Message": "OK", "BizId": "9^0", "RequestId": "F6"})

    def carried(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, str, list[str]]:
        query = dict(parse_qsl(urlsplit(path).query, strict_parsing=True))
        lower = {name.lower(): value for name, value in headers.items()}
        names = lower["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        signed = {name: lower[name] for name in names}
        request = SimpleNamespace(method="POST", pathname="/", query=query, headers=signed)
        digest = Utils.hex_encode(Utils.hash(body, "ACS3-HMAC-SHA256"))
        theirs = Utils.get_authorization(request, "ACS3-HMAC-SHA256", digest, KEY, PASSWORD)
        assert lower["authorization"] == theirs
        values = json.loads(query["TemplateParam"])
        return query["TemplateCode"], query["SignName"], [values["name"], values["n"]]
