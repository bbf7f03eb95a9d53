"""SMPP 3.4: sends texts and gets receipts over a held connection."""

from smsapp.channels.smpp.adapter import Smpp

__all__ = ["Smpp"]
