"""What the application is given: values, and who is called with them. Refuses to let a handler's mistake end the client."""

from __future__ import annotations

import asyncio
import base64
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("tidings")
Handler = Callable[..., Any]


@dataclass(frozen=True)
class Message:
    """A stored message. One of `text`, `data` and `binary` has its content."""

    room: str
    id: int
    user_id: str | None
    key: str | None
    text: str | None
    data: Any
    binary: bytes | None
    recovered: bool
    """It was missed and came afterwards."""

    @classmethod
    def of(cls, room: str, frame: dict[str, Any], recovered: bool) -> Message:
        encoded = frame.get("data_base64")
        binary = None if encoded is None else base64.b64decode(encoded)
        return cls(room, frame["id"], frame.get("user_id"), frame.get("key"), frame.get("text"), frame.get("data"), binary, recovered)


@dataclass(frozen=True)
class Gap:
    """Messages with `after` < id < `before` may be lost to this client."""

    room: str
    after: int
    before: int | None
    reason: str


@dataclass(frozen=True)
class Typing:
    room: str
    user_id: str
    is_typing: bool


@dataclass(frozen=True)
class Presence:
    """Who came and who went. In large rooms the lists are samples, and `users` is how many there are."""

    room: str
    joined: tuple[str, ...]
    left: tuple[str, ...]
    users: int | None = None


@dataclass(frozen=True)
class User:
    user_id: str
    connections: int


@dataclass(frozen=True)
class State:
    """`connecting`, `live`, `waiting` or `closed`."""

    state: str
    transport: str
    retry_in_ms: int | None = None
    reason: str | None = None
    code: str | int | None = None


class Emitter:
    """Calls handlers by the name of an event. One that is a coroutine function runs as a task of its own."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}
        self._running: set[asyncio.Future[Any]] = set()

    def on(self, event: str, handler: Handler | None = None) -> Any:
        """`on("message", f)`, or `@on("message")` above a function."""
        if handler is None:
            return lambda function: self.on(event, function)
        self._handlers.setdefault(event, []).append(handler)
        return handler

    def off(self, event: str, handler: Handler) -> None:
        self._handlers[event].remove(handler)

    def emit(self, event: str, value: Any) -> None:
        for handler in list(self._handlers.get(event, [])):
            try:
                outcome = handler(value)
            except Exception:
                log.exception("a handler for %r failed", event)
                continue
            if inspect.isawaitable(outcome):
                task = asyncio.ensure_future(outcome)
                self._running.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a handler failed", exc_info=task.exception())
