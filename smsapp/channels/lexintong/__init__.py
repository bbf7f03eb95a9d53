"""Lexintong (Lmobile): sends whole texts; receipts and replies are pulled, receipts may be pushed."""

from smsapp.channels.lexintong.adapter import Lexintong

__all__ = ["Lexintong"]
