"""Presets of the settings form for widely used gateways."""

from __future__ import annotations

from smsapp.channels.types import Preset

KANNEL = Preset(
    "kannel",
    "Kannel",
    {
        "method": "GET",
        "url": (
            "http://127.0.0.1:13013/cgi-bin/sendsms?username={username}&password={password}&from={sender}&to={to}"
            "&text={text}&coding=2&charset=UTF-8&dlr-mask=19&dlr-url={receipt_url}"
        ),
        "receipt_url": "{callback_url}?ref={ref}&status=%d&code=%A",
        "number_format": "e164",
        "separator": " ",
        "accepted_where": "/^[03]: /",
        "code_where": "/^[^,.0-9][^,.]*/",
        "rules": (
            "403 /Authorization failed/ = misconfigured credentials\n"
            "403 /Not routable/ = refused provider_fault\n"
            "400 /black-lists/ = refused bad_number\n"
            "400 /Sender missing|DLR-URL|receiver|Invalid/ = misconfigured our_fault"
        ),
        "check_url": "http://127.0.0.1:13013/cgi-bin/sendsms?username={username}&password={password}",
        "check_where": "/Missing receiver/",
        "receipt_format": "parameters",
        "receipt_ref": "ref",
        "receipt_status": "status",
        "receipt_code": "code",
        "receipt_code_form": "smsc",
        "delivered_values": "1",
        "undelivered_values": "2, 16",
        "waiting_values": "4, 8",
        "receipt_outcomes": "",
        "reply_phone": "from",
        "reply_text": "reply",
        "callback_answer": "OK",
    },
)
JASMIN = Preset(
    "jasmin",
    "Jasmin",
    {
        "method": "GET",
        "url": (
            "http://127.0.0.1:1401/send?username={username}&password={password}&from={sender}&to={to}&coding=8"
            "&hex-content={text_hex}&dlr=yes&dlr-level=3&dlr-method=GET&dlr-url={receipt_url}"
        ),
        "receipt_url": "{callback_url}?ref={ref}",
        "number_format": "digits",
        "accepted_where": '/^Success "([^"]+)"/',
        "id_where": '/^Success "([^"]+)"/',
        "code_where": '/^Error "([^"\\[:]+)/',
        "rules": (
            "403 /Authentication failure/ = misconfigured credentials\n"
            "403 /Authorization failed|quota|throughput|balance/ = misconfigured quota\n"
            "412 = refused provider_fault\n"
            "400 = misconfigured our_fault"
        ),
        "check_url": "http://127.0.0.1:1401/balance?username={username}&password={password}",
        "check_where": "$.balance",
        "balance_where": "$.balance",
        "receipt_format": "parameters",
        "receipt_ref": "ref",
        "receipt_id": "id",
        "receipt_status": "message_status",
        "receipt_code": "message_status",
        "delivered_values": "DELIVRD",
        "undelivered_values": "UNDELIV, EXPIRED, REJECTD, DELETED, ESME_RINVDSTADR, ESME_RSUBMITFAIL",
        "waiting_values": "ESME_ROK, ACCEPTD, ENROUTE, UNKNOWN",
        "receipt_outcomes": "EXPIRED = expired\nESME_RINVDSTADR = bad_number",
        "reply_phone": "from",
        "reply_text": "content",
        "reply_coding": "coding",
        "reply_hex": "binary",
        "callback_answer": "ACK/Jasmin",
    },
)
