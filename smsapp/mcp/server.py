"""The server of the Model Context Protocol: the tools, listed and called. The only module that loads the SDK."""

from __future__ import annotations

import anyio
import click
from anyio import CapacityLimiter, to_thread
from flask import Flask
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from smsapp import labels
from smsapp.domain.errors import Refusal
from smsapp.domain.version import VERSION
from smsapp.mcp.calls import Agents
from smsapp.mcp.tool import DATA, TOOLS
from smsapp.shapes.json_text import json_text

INSTRUCTIONS = (
    "SMS campaigns: read what there is, create and change drafts, rehearse them, and read what became of campaigns. "
    "Nothing here sends: when a draft is ready, ask a person to review and confirm it in the pages. Phone numbers are "
    f"masked. {DATA}"
)


def build(agents: Agents) -> Server:
    """Return the server; calls are carried out one after the other, beside its loop."""
    single_file = CapacityLimiter(1)
    offered = [
        Tool(
            name=tool.name,
            description=tool.description,
            input_schema=tool.arguments(),
            annotations=ToolAnnotations(
                read_only_hint=not tool.changes,
                destructive_hint=False,
                idempotent_hint=not tool.changes,
                open_world_hint=False,
            ),
        )
        for tool in TOOLS.values()
    ]

    async def list_tools(_context: ServerRequestContext, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=offered)

    async def call_tool(_context: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        answer = await to_thread.run_sync(agents.call, params.name, params.arguments or {}, limiter=single_file)
        return CallToolResult(
            content=[TextContent(type="text", text=json_text(answer.document))],
            structured_content=answer.document,
            is_error=answer.is_problem,
        )

    return Server(
        "smsapp", version=VERSION, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool
    )


def serve(app: Flask, key: str, locale: str) -> None:
    """Serve whoever is at standard input and output; raises ClickException if the key does not count."""
    agents = Agents(app, key, locale)
    try:
        agents.check()
    except Refusal as refusal:
        raise click.ClickException(labels.sentence(refusal.problems[0])) from None
    anyio.run(_serve, build(agents))


async def _serve(server: Server) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
