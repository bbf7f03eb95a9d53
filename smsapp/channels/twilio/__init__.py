"""Twilio Programmable Messaging: sends whole texts; signed receipts and replies come to the callback address."""

from smsapp.channels.twilio.adapter import Twilio

__all__ = ["Twilio"]
