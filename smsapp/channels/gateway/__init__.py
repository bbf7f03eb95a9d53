"""The HTTP gateway: any provider that can be described by templates, places and rules."""

from smsapp.channels.gateway.adapter import Gateway

__all__ = ["Gateway"]
