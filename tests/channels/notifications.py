"""Notifications as Amazon SNS makes and signs them."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from smsapp.channels.types import Callback

INBOUND = {
    "originationNumber": "+14255550182",
    "destinationNumber": "+12125550101",
    "messageKeyword": "JOIN",
    "messageBody": "STOP",
    "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
    "previousPublishedMessageId": "wJalrXUtnFEMI",
}
TOPIC = "arn:aws:sns:us-east-1:123456789012:receipts"
CHINESE = "arn:aws-cn:sns:cn-north-1:123456789012:replies"
CERTIFICATE = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
HASHES = {"1": hashes.SHA1(), "2": hashes.SHA256()}
SNS = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = SNS) -> bytes:
    """Return a certificate for this key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begun = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begun, begun + dt.timedelta(days=900))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed_notification(message: Any, version: str = "1", key: rsa.RSAPrivateKey = SNS, **values: Any) -> Callback:
    """Return a call as SNS makes it, signed as AWS describes it: names in the order of their letters."""
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-05-02T00:54:06.655Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn",
    } | values
    unsigned = {"SignatureVersion", "SigningCertURL", "UnsubscribeURL"}
    text = "".join(f"{name}\n{envelope[name]}\n" for name in sorted(envelope.keys() - unsigned))
    given = key.sign(text.encode(), padding.PKCS1v15(), HASHES[version])
    envelope["Signature"] = base64.b64encode(given).decode()
    # SNS says text/plain of its JSON.
    headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": str(envelope["Type"])}
    return Callback("POST", "", headers, json.dumps(envelope).encode(), "https://sms.example.com/callbacks/tok-en")


def confirmation(**values: Any) -> Callback:
    own = {
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37",
        "SubscribeURL": "https://evil.example/?Action=ConfirmSubscription&TopicArn=x&Token=2336412f37",
    }
    return signed_notification("You have chosen to subscribe …", **(own | values))


def changed(callback: Callback, **values: Any) -> Callback:
    """Return the call with other values and the old signature."""
    return Callback("POST", "", callback.headers, json.dumps(json.loads(callback.body) | values).encode(), callback.url)
