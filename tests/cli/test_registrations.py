"""flask registrations: typed in, listed, reminded of and removed from the command line."""

from __future__ import annotations

import json

from flask.testing import FlaskCliRunner

from tests import builders


def test_registrations_are_typed_in_listed_and_removed(runner: FlaskCliRunner) -> None:
    builders.channel(name="乐信通")

    def flask(*args: str) -> tuple[int, str]:
        result = runner.invoke(args=["registrations", *args])
        return result.exit_code, result.stdout

    on = ("--channel", "乐信通")
    assert (
        flask("set", "signature", "【青禾商城】", "registered", *on, "--carrier", "unicom", "--until", "2099-01-01")[0]
        == 0
    )
    code, text = flask("list", *on, "--json")
    assert (code, json.loads(text)["items"][0]["states"]) == (
        0,
        {"mobile": "unknown", "unicom": "registered", "telecom": "unknown"},
    )
    assert "青禾商城" in flask("list", *on)[1]
    assert flask("lapsing") == (0, "")
    assert flask("set", "link", "t.cn/a", "failed", *on, "--words", "资料不符")[0] == 0
    assert "资料不符" in flask("list", *on)[1]
    assert flask("forget", "link", "https://t.cn/a", *on)[0] == 2
    assert flask("forget", "link", "t.cn/a", *on)[0] == 0
    assert flask("sync", *on)[0] == 2
    assert flask("list", "--channel", "别的")[0] == 2
    assert flask("set", "link", "t.cn/a", "registered", *on, "--until", "2001-01-01")[0] == 2
