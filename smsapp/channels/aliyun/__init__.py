"""Alibaba Cloud SMS: sends approved templates; receipts and replies are pushed."""

from smsapp.channels.aliyun.adapter import Aliyun

__all__ = ["Aliyun"]
