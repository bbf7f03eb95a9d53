"""The processor's part of a campaign: fill in the text, count its parts, write the request."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.raw import Bound, Watch
from bench.raw.ledger import Row

PATTERN = "【青禾商城】尊敬的%s，您的积分将于本月底到期，请及时使用。拒收请回复R"


def render(batches: Sequence[Sequence[Row]], per_request: int) -> tuple[Bound, list[bytes]]:
    """Return the bodies of all requests, `per_request` messages each, as the provider would get them."""
    watch = Watch()
    bodies: list[bytes] = []
    rows = 0
    for batch in batches:
        with watch.running():
            messages = []
            for seq, phone, params in batch:
                text = PATTERN % tuple(json.loads(params))
                parts = 1 if len(text) <= 70 else -(-len(text) // 67)
                messages.append({"ref": f"1-{seq}", "phone": phone, "text": text, "parts": parts})
            starts = range(0, len(messages), per_request)
            bodies += [json.dumps({"messages": messages[at : at + per_request]}).encode() for at in starts]
        rows += len(batch)
    return Bound("render and encode", rows, watch.seconds), bodies
