"""Tencent Cloud SMS: sends approved templates; receipts and replies are pushed or pulled."""

from smsapp.channels.tencent.adapter import Tencent

__all__ = ["Tencent"]
