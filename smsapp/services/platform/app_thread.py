"""One thread beside an event loop that runs steps in turn, each in an application context of its own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from flask import Flask

T = TypeVar("T")


class AppThread:
    """A thread for database or Redis steps of asynchronous code."""

    def __init__(self, app: Flask, name: str) -> None:
        self.app = app
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def run(self, step: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Start a step; return the future of its result."""
        ids = contextvars.copy_context()  # of the log lines
        return asyncio.get_running_loop().run_in_executor(self.executor, ids.run, self._in_context, step, *args)

    def close(self) -> None:
        """Wait for the steps that were started and end the thread."""
        self.executor.shutdown()

    def _in_context(self, step: Callable[..., T], *args: Any) -> T:
        with self.app.app_context():
            return step(*args)
