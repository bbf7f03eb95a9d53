"""SMPP 3.4: a connection that is held, over which texts leave and receipts come back."""

from smsapp.channels.smpp.adapter import Smpp

__all__ = ["Smpp"]
