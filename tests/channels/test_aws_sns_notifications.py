"""Which notifications of Amazon SNS are believed, and whom we ask before: with a stand-in for SNS, and with moto."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from smsapp.channels.aws_sns import AwsSns
from smsapp.channels.aws_sns.notifications import PAUSE, NotificationVerifier
from smsapp.channels.errors import AccountError, CallbackRefused, ChannelError, NotSent, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import submission
from tests.channels.notifications import (
    CERTIFICATE,
    CHINESE,
    INBOUND,
    TOPIC,
    changed,
    confirmation,
    pem,
    signed_notification,
)
from tests.channels.wire import HERE, provider, run


def make(url: str, folder: Path, **values: str) -> AwsSns:
    own = {"access_key_id": "AKIDTEST", "secret_access_key": "secret", "url": url, "topics": f"{TOPIC}\n{CHINESE}"}
    return AwsSns({setting.name: setting.default for setting in AwsSns.settings} | own | values, folder)


class Sns:
    """SNS's side of certificates and confirmations."""

    def __init__(self, answer: Callable[[], web.Response] = lambda: web.Response(body=pem())) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, request: web.Request, _body: bytes) -> web.Response:
        self.asked.append(request.path_qs)
        if request.path.endswith(".pem"):
            return self.answer()
        return web.Response(text="<ConfirmSubscriptionResponse/>", content_type="text/xml")


class TestWhatIsBelieved:
    async def told(self, sns: Sns, folder: Path, *callbacks: Callback, adapter: AwsSns | None = None) -> list[Any]:
        """Bring callbacks as the door does; return None for each that was taken, or the error."""
        came: list[Any] = []
        async with provider(sns) as server, HttpClient(HERE) as http:
            adapter = adapter or make(server.url, folder)
            adapter._verifier._endpoint = f"{server.url}/"
            for callback in callbacks:
                try:
                    if adapter.needs_confirmation(callback):
                        await adapter.confirm_callback(callback, http)
                    adapter.verify_callback(callback)
                    came.append(None)
                except (CallbackRefused, ChannelError) as trouble:
                    came.append(trouble)
        return came

    def test_a_certificate_is_fetched_once(self, tmp_path: Path) -> None:
        sns = Sns()
        callbacks = [signed_notification(INBOUND, "1"), signed_notification(INBOUND, "2"), signed_notification("{}")]
        assert run(self.told(sns, tmp_path, *callbacks)) == [None, None, None]
        assert sns.asked == [urlsplit(CERTIFICATE).path]

    def test_a_subscription_of_a_topic_of_ours_is_confirmed_at_our_own_endpoint(self, tmp_path: Path) -> None:
        sns = Sns()
        assert run(self.told(sns, tmp_path, confirmation())) == [None]
        asked = f"/?Action=ConfirmSubscription&TopicArn={TOPIC.replace(':', '%3A')}&Token=2336412f37"
        assert sns.asked == [urlsplit(CERTIFICATE).path, asked]

    def test_no_other_subscription_is_confirmed(self, tmp_path: Path) -> None:
        sns = Sns()
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        callbacks = [
            signed_notification(INBOUND),  # brings the certificate
            confirmation(TopicArn=TOPIC + "2"),
            confirmation(key=other),
            changed(confirmation(), Token="another"),
        ]
        came = run(self.told(sns, tmp_path, *callbacks))
        assert came[0] is None
        assert all(isinstance(result, CallbackRefused) for result in came[1:])
        assert sns.asked == [urlsplit(CERTIFICATE).path]

    @pytest.mark.parametrize(
        "address",
        [
            "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-01.pem",
            "https://x@sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem?x=1",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem#x",
            "https://sns.us-east-1.amazonaws.com/../SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com/a/SimpleNotificationService-01.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-%2e%2e.pem",
            "https://sns.us-east-1.amazonaws.com/?Action=Publish",
            "https://169.254.169.254/SimpleNotificationService-01.pem",
            "file:///SimpleNotificationService-01.pem",
            "",
            "https://[",
        ],
    )
    def test_a_certificate_from_elsewhere_is_not_even_asked_for(self, address: str, tmp_path: Path) -> None:
        sns = Sns()
        for callback in (signed_notification(INBOUND, SigningCertURL=address), confirmation(SigningCertURL=address)):
            (came,) = run(self.told(sns, tmp_path, callback))
            assert isinstance(came, CallbackRefused)
        assert sns.asked == []

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (lambda: web.Response(status=404), AccountError),
            (lambda: web.Response(status=503), OutcomeUnknown),
            (lambda: web.Response(status=302, headers={"Location": "/x"}), AccountError),
            (lambda: web.Response(text="<html>"), OutcomeUnknown),
            (lambda: web.Response(body=pem(ec.generate_private_key(ec.SECP256R1()))), OutcomeUnknown),
        ],
    )
    def test_after_a_failure_nothing_is_asked_for_a_while(
        self, answer: Callable[[], web.Response], kind: type[ChannelError], tmp_path: Path
    ) -> None:
        sns, now = Sns(answer), [1000.0]
        adapter = make("http://127.0.0.1:1", tmp_path)
        adapter._verifier.monotonic = lambda: now[0]
        first, second = run(
            self.told(sns, tmp_path, signed_notification(INBOUND), signed_notification(INBOUND), adapter=adapter)
        )
        assert isinstance(first, kind)
        assert isinstance(second, NotSent)
        assert len(sns.asked) == 1
        now[0] += PAUSE
        sns.answer = lambda: web.Response(body=pem())
        assert run(self.told(sns, tmp_path, signed_notification(INBOUND), adapter=adapter)) == [None]

    def test_one_asks_at_a_time(self, tmp_path: Path) -> None:
        adapter, sns = make("http://127.0.0.1:1", tmp_path), Sns()
        with adapter._verifier._fetching:
            (came,) = run(self.told(sns, tmp_path, signed_notification(INBOUND), adapter=adapter))
        assert isinstance(came, NotSent)
        assert sns.asked == []
        assert run(self.told(sns, tmp_path, signed_notification(INBOUND), adapter=adapter)) == [None]

    @pytest.mark.parametrize(
        ("endpoint", "topic", "host"),
        [
            ("https://sns.us-east-1.amazonaws.com/", TOPIC, "sns.us-east-1.amazonaws.com"),
            ("https://sns.eu-west-1.amazonaws.com/", TOPIC, "sns.us-east-1.amazonaws.com"),
            ("https://vpce-1.sns.us-east-1.vpce.amazonaws.com/", CHINESE, "sns.cn-north-1.amazonaws.com.cn"),
            ("https://proxy.example/", TOPIC, "proxy.example"),
        ],
    )
    def test_only_sns_of_the_topics_region_is_asked(self, endpoint: str, topic: str, host: str) -> None:
        class Ear:
            async def request(self, method: str, url: str) -> Any:
                self.heard = (method, urlsplit(url).scheme, urlsplit(url).netloc)
                raise NotSent("enough")

        ear = Ear()
        begin = "https://sns.cn-north-1.amazonaws.com.cn" if topic == CHINESE else "https://sns.us-east-1.amazonaws.com"
        body = signed_notification(
            INBOUND, TopicArn=topic, SigningCertURL=f"{begin}/SimpleNotificationService-01.pem"
        ).body
        with pytest.raises(NotSent):
            run(NotificationVerifier([TOPIC, CHINESE], endpoint).fetch(body, ear))  # type: ignore[arg-type]  # it only listens
        assert ear.heard == ("GET", "https", host)


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """Run moto's server with authentication on, after the three calls that make a user with a key."""
    for port in range(21_000 + os.getpid() % 3_000, 25_000):  # below the ports that outgoing connections use
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            break
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5)
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait(10)


class Amazon:
    """Moto's account: its address, and the key of a user who may use SNS and nothing else."""

    def __init__(self, url: str) -> None:
        self.url = url
        iam = self.client("iam", "any", "any")
        iam.create_user(UserName="sms")
        allowed = {"Effect": "Allow", "Action": "sns:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="sms", PolicyName="sms", PolicyDocument=policy)
        key = iam.create_access_key(UserName="sms")["AccessKey"]
        self.key_id, self.secret = key["AccessKeyId"], key["SecretAccessKey"]

    def client(self, service: str, key_id: str = "", secret: str = "") -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=key_id or self.key_id,
            aws_secret_access_key=secret or self.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def channel(self, folder: Path, **values: str) -> AwsSns:
        return make(self.url, folder, **{"access_key_id": self.key_id, "secret_access_key": self.secret} | values)

    def texts(self) -> list[tuple[str, str]]:
        with urllib.request.urlopen(f"{self.url}/moto-api/data.json") as answer:
            messages = json.load(answer)["sns"]["SMS"]
        return [(message["phone_number"], message["message"]) for message in messages]

    def certificate(self, path: str) -> bytes:
        """Return one that moto serves: it tells services apart by this header, and AWS by the host."""
        asked = urllib.request.Request(self.url + path)
        asked.add_header(
            "Authorization", f"AWS4-HMAC-SHA256 Credential={self.key_id}/20260101/us-east-1/sns/aws4_request"
        )
        with urllib.request.urlopen(asked) as answer:
            certificate: bytes = answer.read()
        return certificate


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    with moto() as url:
        yield Amazon(url)


def sent(channel: AwsSns, text: str = "", phone: str = "") -> list[SubmitResult] | ChannelError:
    async def story() -> list[SubmitResult] | ChannelError:
        asked = submission(1)
        for name, value in (("text", text), ("phone", phone)):
            if value:
                object.__setattr__(asked.messages[0], name, value)
        async with HttpClient(HERE) as http:
            try:
                return await channel.send(asked, http)
            except ChannelError as trouble:
                return trouble

    return run(story())


class TestWithMoto:
    def test_a_signed_request_is_taken(self, amazon: Amazon, tmp_path: Path) -> None:
        own = {"sender_id": "QINGHE", "max_price": "0.5", "origination": "+12065550152"}
        answers = sent(amazon.channel(tmp_path, **own))
        assert isinstance(answers, list)
        assert answers[0].accepted
        assert answers[0].provider_ref
        assert ("+8613800138001", "【青禾商城】您的积分 100% 到期 & 失效") in amazon.texts()

    def test_the_account_can_be_tried(self, amazon: Amazon, tmp_path: Path) -> None:
        async def story(channel: AwsSns) -> str:
            async with HttpClient(HERE) as http:
                return await channel.test_credentials(http)

        assert run(story(amazon.channel(tmp_path))) == "The provider accepts the access key."
        with pytest.raises(AccountError) as caught:
            run(story(amazon.channel(tmp_path, secret_access_key="wrong")))
        assert caught.value.outcome is Outcome.CREDENTIALS

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
            ({"access_key_id": "AKIANOBODY0000000000"}, "InvalidClientTokenId"),
        ],
    )
    def test_a_wrong_key_waits_for_a_person(
        self, wrong: dict[str, str], code: str, amazon: Amazon, tmp_path: Path
    ) -> None:
        result = sent(amazon.channel(tmp_path, **wrong))
        assert isinstance(result, AccountError)
        assert (result.outcome, result.code) == (Outcome.CREDENTIALS, code)

    def test_a_bad_number_and_a_long_text_refuse_one_message(self, amazon: Amazon, tmp_path: Path) -> None:
        channel = amazon.channel(tmp_path)
        assert sent(channel, phone="+1") == [SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="InvalidParameter")]
        assert sent(channel, text="长" * 1601) == [
            SubmitResult(False, outcome=Outcome.CONTENT_REFUSED, code="InvalidParameter")
        ]

    def test_a_signed_notification_is_verified_with_the_certificate_it_names(
        self, amazon: Amazon, tmp_path: Path
    ) -> None:
        entry = {
            "notification": {"messageId": "id-1"},
            "delivery": {"providerResponse": "Phone has blocked SMS"},
            "status": "FAILURE",
        }

        async def story() -> tuple[Callback, AwsSns]:
            came: list[Callback] = []

            async def reply(request: web.Request, body: bytes) -> web.Response:
                if request.path.endswith(".pem"):
                    return web.Response(body=await asyncio.to_thread(amazon.certificate, request.path))
                came.append(Callback("POST", "", dict(request.headers), body))
                return web.Response()

            async with provider(reply) as server, HttpClient(HERE) as http:

                def publish() -> str:
                    sns = amazon.client("sns")
                    topic: str = sns.create_topic(Name="receipts")["TopicArn"]
                    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=server.url)
                    sns.publish(TopicArn=topic, Message=json.dumps(entry))
                    return topic

                channel = amazon.channel(tmp_path, topics=await asyncio.to_thread(publish))
                (callback,) = came
                assert channel.needs_confirmation(callback)
                channel._verifier._endpoint = f"{server.url}/"
                await channel.confirm_callback(callback, http)
                assert not channel.needs_confirmation(callback)
                return callback, channel

        callback, channel = run(story())
        channel.verify_callback(callback)
        assert channel.read_callback(callback) == [
            Receipt(
                ReceiptStatus.UNDELIVERED,
                provider_ref="id-1",
                outcome=Outcome.BLOCKED_BY_CARRIER,
                code="Phone has blocked SMS",
            )
        ]
        with pytest.raises(CallbackRefused):
            channel.verify_callback(changed(callback, Message="{}"))
        with pytest.raises(CallbackRefused):
            amazon.channel(tmp_path).verify_callback(callback)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"Type": "Notification", "TopicArn": ["arn:aws:sns:us-east-1:123456789012:sms"]}',
        b'{"Type": {"Notification": 1}, "TopicArn": "arn:aws:sns:us-east-1:123456789012:sms"}',
        b'{"Type": ["Notification"]}',
    ],
)
def test_whatever_shape_a_stranger_sends_it_is_refused(body: bytes, tmp_path: Path) -> None:
    adapter = make("http://127.0.0.1:1", tmp_path)
    callback = Callback("POST", "", {}, body)
    assert adapter.needs_confirmation(callback) is False
    with pytest.raises(CallbackRefused):
        adapter.verify_callback(callback)
