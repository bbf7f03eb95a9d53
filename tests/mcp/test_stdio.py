"""A real client starts `flask mcp` as a process of its own and goes from the lists to a reviewed draft."""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
import pytest
import redis
from flask import Flask
from mcp import Client, StdioServerParameters, stdio_client

from config import HERE, Config
from smsapp.domain.api_key import Scope
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from tests import builders
from tests.conftest import FERNET_KEY


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the services beneath are tested on both databases."""
    return sqlite_config


def test_a_client_goes_from_the_lists_to_a_reviewed_draft(app: Flask, config: Config) -> None:
    # Given people with numbers, something to choose, and a key in the environment of the process
    builders.known_property("$phone")
    builders.known_property("name")
    for n in range(1, 4):
        builders.contact(f"u{n}", builders.phone(n), properties={"name": f"客户{n}"})
    channel = builders.channel(price="0.05")
    builders.template(channel.id, text="${name}您好。", allowed={"name": {"longest": 20}})
    builders.segment(name="所有人")
    key = api_keys.create("Agent", [Scope.READ, Scope.DRAFT], Actor("test"), clock.now()).text
    settings = {"INSTANCE_DIR": str(config.INSTANCE_DIR), "REDIS_URL": config.redis_url, "SECRET_KEY": "only for tests"}
    settings |= {"ENCRYPTION_KEY": FERNET_KEY, "SMSAPP_API_KEY": key, "PATH": os.environ["PATH"]}
    arguments = ["-m", "flask", "--app", "wsgi", "mcp", "--language", "zh"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=settings, cwd=HERE)

    async def story() -> tuple[set[str], dict[str, Any], dict[str, Any]]:
        async with Client(stdio_client(server)) as client:

            async def call(tool: str, /, **values: Any) -> Any:
                return (await client.call_tool(tool, values)).structured_content

            # When it lists what there is, drafts, rehearses and reviews
            tools = {tool.name for tool in (await client.list_tools()).tools}
            chosen = {
                "channel_id": (await call("list_channels"))["items"][0]["id"],
                "template_id": (await call("list_templates"))["items"][0]["id"],
                "audience": {"include": [(await call("list_segments"))["items"][0]["id"]]},
            }
            draft = await call("create_draft", name="召回", **chosen)
            lacking = await call("read_review", campaign_id=draft["id"])
            mapping = {"name": {"property": "name", "fallback": "客户"}}
            await call("change_draft", campaign_id=draft["id"], version=draft["version"], mapping=mapping)
            assert (await call("rehearse", campaign_id=draft["id"]))["planned"] == 3
            return tools, lacking, await call("estimate", campaign_id=draft["id"])

    tools, lacking, estimate = anyio.run(story)
    # Then what was missing is said in the asked language, and the draft is ready for a person
    assert "create_draft" in tools
    assert [problem["code"] for problem in lacking["problems"]] == ["variable_unmapped"]
    assert "变量" in lacking["problems"][0]["detail"]
    assert (estimate["ready"], estimate["planned"], estimate["text"]) == (True, 3, "【青禾商城】客户1您好。")
