"""Amazon SNS: signed by AWS's own signer, read as AWS writes, and believed only where SNS has signed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa

from smsapp.channels._error_codes import Scope
from smsapp.channels.aws_sns import AwsSns
from smsapp.channels.aws_sns.codes import ERROR_CODES, EVENTS, PARAMETER, PARAMETERS, REASONS
from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, PHONE, HttpContract
from tests.channels.notifications import (
    CERTIFICATE,
    CHINESE,
    INBOUND,
    SNS,
    TOPIC,
    changed,
    confirmation,
    signed_notification,
)
from tests.channels.wire import HERE, Provider, provider, run

KEY_ID = "AKIDTEST"
ID = "34d9b400-c6dd-5444-820d-fbeb0f1f54cf"
HTTP = {"Throttled": 429, "AuthorizationError": 403, "NotFound": 404, "InternalError": 500, "ServiceUnavailable": 503}


def logged(status: str, reason: str, **more: Any) -> dict[str, Any]:
    """Return an entry of the delivery log as the developer guide shows it."""
    return {
        "notification": {"messageId": ID, "timestamp": "2016-06-28 00:40:34.558"},
        "delivery": {
            "phoneCarrier": "My Phone Carrier",
            "mnc": 270,
            "numberOfMessageParts": 1,
            "destination": PHONE,
            "priceInUSD": 0.00645,
            "smsType": "Transactional",
            "mcc": 310,
            "providerResponse": reason,
            "dwellTimeMs": 599,
        },
        "status": status,
    } | more


def event(kind: str, final: bool = True) -> dict[str, Any]:
    """Return an event of End User Messaging as its user guide shows it."""
    return {
        "eventType": kind,
        "eventVersion": "1.0",
        "eventTimestamp": 1686975103470,
        "isFinal": final,
        "destinationPhoneNumber": PHONE,
        "messageId": ID,
        "messageStatus": kind.removeprefix("TEXT_"),
        "messageStatusDescription": "…",
        "totalMessageParts": 1,
    }


def failed(outcome: Outcome, code: str) -> list[Receipt]:
    return [Receipt(ReceiptStatus.UNDELIVERED, provider_ref=ID, outcome=outcome, code=code)]


def xml(inside: str, status: int = 200) -> web.Response:
    return web.Response(text=inside, status=status, content_type="text/xml")


def error(code: str, status: int = 400, message: str = "…") -> web.Response:
    return xml(
        f'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>9dd01905</RequestId></ErrorResponse>",
        status,
    )


class TestAwsSns(HttpContract):
    receipts = (
        (
            signed_notification(logged("SUCCESS", "Message has been accepted by phone carrier")),
            [Receipt(ReceiptStatus.DELIVERED, provider_ref=ID)],
        ),
        (
            signed_notification(logged("FAILURE", "Phone number is opted out"), "2", Subject="A subject"),
            failed(Outcome.OPTED_OUT, "Phone number is opted out"),
        ),
        (
            signed_notification(event("TEXT_DELIVERED")),
            [Receipt(ReceiptStatus.DELIVERED, provider_ref=ID, code="TEXT_DELIVERED")],
        ),
        (
            signed_notification(event("TEXT_SUCCESSFUL", False)),
            [Receipt(ReceiptStatus.ACCEPTED, provider_ref=ID, code="TEXT_SUCCESSFUL")],
        ),
        (
            signed_notification({"detail-type": "Text Message Delivery Status Updated", "detail": event("TEXT_SPAM")}),
            failed(Outcome.CONTENT_REFUSED, "TEXT_SPAM"),
        ),
        (signed_notification(event("MEDIA_DELIVERED")), []),
        (signed_notification(INBOUND), [Reply("+14255550182", "STOP", provider_ref=INBOUND["inboundMessageId"])]),
        (confirmation(), []),
        (confirmation(Type="UnsubscribeConfirmation"), []),
    )

    def make(self, url: str, folder: Path, **values: str) -> AwsSns:
        own = {"access_key_id": KEY_ID, "secret_access_key": PASSWORD, "url": url, "topics": f"{TOPIC}\n{CHINESE}"}
        made = {setting.name: setting.default for setting in AwsSns.settings} | own | values
        assert AwsSns.check(made) == []
        return AwsSns(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return xml(
            '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
            f"<MessageId>{ID}</MessageId></PublishResult><ResponseMetadata><RequestId>f187a3c1</RequestId>"
            "</ResponseMetadata></PublishResponse>"
        )

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return error(code)

    def ready(self, adapter: Any) -> Any:
        adapter._verifier._keys[CERTIFICATE] = SNS.public_key()
        return adapter

    def forged(self, callback: Callback) -> Sequence[Callback]:
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return [
            changed(callback, Message="another"),
            changed(callback, Timestamp="2026-05-02T00:54:06.656Z"),
            changed(callback, MessageId="another"),
            changed(callback, Signature=""),
            changed(callback, Signature="?"),
            changed(callback, Signature=7),
            changed(callback, SignatureVersion="3"),
            changed(callback, TopicArn=CHINESE),
            signed_notification("{}", key=other),
            signed_notification("{}", TopicArn=TOPIC.replace("123456789012", "999999999999")),
            signed_notification("{}", SigningCertURL=CERTIFICATE.replace("0123", "4567")),
            Callback("POST", "", callback.headers, b"{}", callback.url),
            Callback("POST", "", callback.headers, b"\xff", callback.url),
            Callback("POST", "", {"x-amz-sns-rawdelivery": "true"}, json.dumps(INBOUND).encode(), callback.url),
        ]

    # -- what is sent ---------------------------------------------------------------------------------------------

    def test_the_request_says_what_the_official_sdk_says(self, tmp_path: Path) -> None:
        async def story() -> Provider:
            async def reply(request: web.Request, body: bytes) -> web.Response:
                return self.accepts(request, body)

            async with provider(reply) as server:
                client = boto3.client(
                    "sns",
                    region_name="us-east-1",
                    endpoint_url=server.url,
                    aws_access_key_id=KEY_ID,
                    aws_secret_access_key=PASSWORD,
                    config=Config(retries={"total_max_attempts": 1}),
                )
                texts = {"SMSType": "Transactional", "SenderID": "QINGHE", "MaxPrice": "0.5"}
                attributes = {
                    f"AWS.SNS.SMS.{name}": {
                        "DataType": "Number" if name == "MaxPrice" else "String",
                        "StringValue": value,
                    }
                    for name, value in texts.items()
                }
                attributes["AWS.MM.SMS.OriginationNumber"] = {"DataType": "String", "StringValue": "+12065550152"}
                text = "【青禾商城】您的积分 100% 到期 & 失效"
                await asyncio.to_thread(
                    client.publish, PhoneNumber="+8613800138001", Message=text, MessageAttributes=attributes
                )
            return server

        own = {"sender_id": "QINGHE", "max_price": "0.5", "origination": "+12065550152"}
        answers, ours = run(self.sent(self.accepts, tmp_path, **own))
        assert answers == [SubmitResult(True, ID)]
        theirs = run(story())
        assert pairs(ours) == pairs(theirs)
        mine, other = ours.headers[0], theirs.headers[0]
        assert mine["Content-Type"] == other["Content-Type"]
        for name in ("Authorization", "X-Amz-Date"):
            assert name in mine
        scope = mine["Authorization"].partition(", SignedHeaders")[0].split("/")
        assert scope[0] == f"AWS4-HMAC-SHA256 Credential={KEY_ID}"
        assert scope[2:] == ["us-east-1", "sns", "aws4_request"]

    def test_marketing_is_promotional(self, tmp_path: Path) -> None:
        _, server = run(self.sent(self.accepts, tmp_path))
        given = dict(parse_qsl(server.requests[0][2].decode()))
        assert given["MessageAttributes.entry.1.Value.StringValue"] == "Transactional"
        assert "MessageAttributes.entry.2.Name" not in given

    @pytest.mark.parametrize(
        ("region", "host"),
        [
            ("eu-west-1", "sns.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "sns.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sns.cn-north-1.amazonaws.com.cn"),
        ],
    )
    def test_the_address_is_the_regions_own(self, region: str, host: str, tmp_path: Path) -> None:
        adapter = self.make("", tmp_path, region=region)
        assert adapter._url == f"https://{host}/"

    def test_regions_and_topics_are_read_strictly(self) -> None:
        fine = {"region": "us-east-1", "topics": f"{TOPIC}\n{CHINESE}"}
        assert AwsSns.check(fine) == []
        for region in ("", "evil.example/", "us-east-1.evil.example", "us-east-1\n", "US-EAST-1"):
            assert [problem.place for problem in AwsSns.check(fine | {"region": region})] == ["region"]
        for topic in ("receipts", TOPIC + "/x", TOPIC.replace("us-east-1", "a.b"), TOPIC.replace(":sns:", ":sqs:")):
            assert [problem.place for problem in AwsSns.check(fine | {"topics": topic})] == ["topics"]
        assert [problem.place for problem in AwsSns.check(fine | {"url": "sns"})] == ["url"]

    # -- what is answered -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("code", ERROR_CODES)
    def test_every_code_has_its_outcome(self, code: str, tmp_path: Path) -> None:
        result, server = run(self.sent(lambda *_: error(code, HTTP.get(code, 400)), tmp_path))
        meaning = ERROR_CODES[code]
        assert len(server.requests) == 1
        self.is_meant(result, meaning.scope, meaning.outcome, code)

    @pytest.mark.parametrize("code", sorted(PARAMETER))
    @pytest.mark.parametrize("place", range(len(PARAMETERS)))
    def test_a_wrong_parameter_is_told_by_its_explanation(self, code: str, place: int, tmp_path: Path) -> None:
        sign, meaning = PARAMETERS[place]
        result, _ = run(self.sent(lambda *_: error(code, message=f"Invalid: {sign} {PHONE}"), tmp_path))
        self.is_meant(result, meaning.scope, meaning.outcome, code)

    def is_meant(self, result: Any, scope: Scope, outcome: Outcome, code: str) -> None:
        if scope in {Scope.RECIPIENT, Scope.TEXT}:
            assert result == [SubmitResult(False, outcome=outcome, code=code)]
            return
        kind = {Scope.TIMING: Throttled, Scope.ACCOUNT: AccountError, Scope.UNKNOWN: OutcomeUnknown}[scope]
        assert isinstance(result, kind)
        assert (result.outcome, result.code) == (outcome, code)

    def test_an_acceptance_without_an_id_is_unclear(self, tmp_path: Path) -> None:
        for inside in ("<PublishResponse><PublishResult/></PublishResponse>", "<MessageId></MessageId>"):
            result, _ = run(self.sent(lambda *_, inside=inside: xml(inside), tmp_path))
            assert isinstance(result, OutcomeUnknown)

    def test_the_account_is_asked_for_its_settings(self, tmp_path: Path) -> None:
        async def story(answer: web.Response) -> tuple[Any, Provider]:
            async def reply(_request: web.Request, _body: bytes) -> web.Response:
                return answer

            async with provider(reply) as server, HttpClient(HERE) as http:
                try:
                    return await self.make(server.url, tmp_path).test_credentials(http), server
                except ChannelError as trouble:
                    return trouble, server

        fine = xml("<GetSMSAttributesResponse><GetSMSAttributesResult/></GetSMSAttributesResponse>")
        result, server = run(story(fine))
        assert result == "The provider accepts the access key."
        assert b"Action=GetSMSAttributes" in server.requests[0][2]
        assert isinstance(run(story(error("SignatureDoesNotMatch", 403)))[0], AccountError)
        assert isinstance(run(story(error("AccessDenied", 403)))[0], AccountError)

    # -- what is reported -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("said", REASONS)
    def test_every_reason_of_the_log_has_its_outcome(self, said: str, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        for ending in ("", "."):
            receipts = adapter.read_callback(signed_notification(logged("FAILURE", said + ending)))
            assert receipts == failed(REASONS[said], said + ending)

    @pytest.mark.parametrize("kind", EVENTS)
    def test_every_event_has_its_meaning(self, kind: str, tmp_path: Path) -> None:
        receipts = self.make("http://127.0.0.1:1", tmp_path).read_callback(signed_notification(event(kind)))
        meaning = EVENTS[kind]
        if isinstance(meaning, Outcome):
            assert receipts == failed(meaning, kind)
        else:
            assert receipts == [Receipt(meaning, provider_ref=ID, code=kind)]

    def test_unknown_reasons_are_kept_without_numbers(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        (receipt,) = adapter.read_callback(signed_notification(logged("FAILURE", f"{PHONE} is odd")))
        assert isinstance(receipt, Receipt)
        assert (receipt.outcome, "13800138000" in receipt.code) == (Outcome.UNKNOWN, False)
        assert adapter.read_callback(signed_notification(event("TEXT_NEW"))) == failed(Outcome.UNKNOWN, "TEXT_NEW")
        early = Receipt(ReceiptStatus.ACCEPTED, provider_ref=ID, code="TEXT_NEW")
        assert adapter.read_callback(signed_notification(event("TEXT_NEW", False))) == [early]

    @pytest.mark.parametrize(
        "message",
        [
            "plain words",
            [],
            {},
            {"notification": {}},
            {"notification": {"messageId": ID}},
            logged("SUCCESS", "", delivery=None),
            logged("PENDING", ""),
            {"eventType": "TEXT_DELIVERED"},
            {"originationNumber": ""},
        ],
    )
    def test_notifications_that_say_nothing_are_value_errors(self, message: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"."):
            self.make("http://127.0.0.1:1", tmp_path).read_callback(signed_notification(message))


def pairs(server: Provider) -> dict[str, Any]:
    """Return the fields of the first request, its message attributes by name."""
    given = dict(parse_qsl(server.requests[0][2].decode()))
    attributes = {}
    for name in [name_field for name_field in given if name_field.endswith(".Name")]:
        entry = name.removesuffix("Name")
        attributes[given.pop(name)] = (given.pop(f"{entry}Value.DataType"), given.pop(f"{entry}Value.StringValue"))
    return {**given, "attributes": attributes}
