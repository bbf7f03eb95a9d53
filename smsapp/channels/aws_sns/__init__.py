"""Amazon SNS: one signed request per message; receipts and replies as signed notifications of a topic."""

from smsapp.channels.aws_sns.adapter import AwsSns

__all__ = ["AwsSns"]
