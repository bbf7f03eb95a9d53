"""A program that calls the API with a key of its own, and looks at every answer."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
import redis
from flask import Flask

from config import Config
from smsapp.domain.api_key import Scope
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor

NAMES = uuid.UUID(int=1)
_number = itertools.count(1)


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the services beneath are tested on both databases."""
    return sqlite_config


class Program:
    """A caller; an answer that is no success has to be a problem document."""

    def __init__(self, app: Flask, text: str) -> None:
        self.raw = app.test_client()
        self.headers = {"Authorization": f"Bearer {text}", "Accept-Language": "en"}

    def ask(self, method: str, path: str, status: int = 200, once: str = "", **options: Any) -> Any:
        """Send a request and return the JSON of its answer, which has this status."""
        headers = self.headers | ({"Idempotency-Key": str(uuid.uuid5(NAMES, once))} if once else {})
        response = self.raw.open(f"/api/v1{path}", method=method, headers=headers, **options)
        assert response.status_code == status, f"{method} {path}: {response.status} {response.get_data(as_text=True)}"
        if status >= 400:
            assert response.mimetype == "application/problem+json"
            assert response.get_json()["status"] == status
        self.last = response
        return response.json

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        return self.ask("GET", path, status, query_string=query)

    def post(self, path: str, body: Any = None, status: int = 200, once: str = "") -> Any:
        return self.ask("POST", path, status, once, **({} if body is None else {"json": body}))

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self.ask("PUT", path, status, json=body)

    def delete(self, path: str, status: int = 200) -> Any:
        return self.ask("DELETE", path, status)


class Programs:
    def __init__(self, app: Flask) -> None:
        self.app = app

    def with_(self, *scopes: Scope, **options: Any) -> Program:
        """Return a program with a new key of these scopes."""
        made = api_keys.create(f"Program {next(_number)}", scopes, Actor("test"), clock.now(), **options)
        return Program(self.app, made.text)


@pytest.fixture
def programs(app: Flask) -> Programs:
    return Programs(app)


@pytest.fixture
def program(programs: Programs) -> Program:
    """A program that may do everything, but not see whole numbers."""
    return programs.with_(*Scope)
