"""What a session over plain HTTP needs beside its stream or its polls: it speaks by POST, and it reads what it missed from the
rooms' histories. Owned by one link. Refuses to go on after a failure: the link is lost then.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from typing import Any
from urllib.parse import quote

import httpx

from .positions import is_own_room
from .transport import Attempt, Frame, Link
from .verdict import Loss

ANSWER_TIMEOUT_S = 10
PAGE_MESSAGES = 1_000
HELD_FRAMES_MAX = 10_000


@functools.cache
def _trust() -> ssl.SSLContext:
    """Made once: to make it for each link takes longer than to connect."""
    return ssl.create_default_context()


def http_client(base: str, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_TIMEOUT_S, verify=_trust())


def refusal_of(status: int, retry_after: str | None, body: bytes | None) -> Loss:
    """What a response that is no success means. Only a body with a `code` is the server's own word."""
    loss: Loss = {"status": status}
    try:
        said = json.loads(body or b"")
        loss |= {"error": str(said["code"]), "reason": said.get("message")}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    if retry_after is not None and retry_after.isdecimal():
        loss["retry_after_ms"] = int(retry_after) * 1_000
    return loss


async def refusal(response: httpx.Response) -> Loss:
    return refusal_of(response.status_code, response.headers.get("Retry-After"), await response.aread())


def rooms_of(hello: Frame) -> list[str]:
    """The rooms that a `hello` names, but for the user's own."""
    return [room for room in [*hello.get("rooms", []), *hello.get("positions", {})] if not is_own_room(room)]


def query_of(hello: Frame, **more: str | int | None) -> list[tuple[str, str | int | float | bool | None]]:
    """The query that a stream or a poll says with what a WebSocket says in `hello`."""
    fields: dict[str, Any] = {name: hello.get(name) for name in ("user_id", "session_id", "attempt")} | more
    return [*(("room", room) for room in rooms_of(hello)), *((name, value) for name, value in fields.items() if value is not None)]


class HttpLink(Link):
    """Speaks by POST, messages one after the other, because two requests at once may arrive in either order."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt)
        self.http = http_client(attempt.base, attempt.headers)
        self.catch_up = CatchUp(self)
        self.session_id: str | None = attempt.hello.get("session_id")
        self._is_begun = False
        self._order = asyncio.Lock()

    async def run(self) -> None:
        async with self.http:
            await self.listen()

    async def listen(self) -> None:
        raise NotImplementedError

    def began(self, session_id: str) -> None:
        self.session_id = session_id
        self._is_begun = True

    def acknowledged(self, frame: Frame) -> None:
        """A message of the client's own was stored."""

    def say(self, frame: Frame) -> None:
        if frame["type"] == "refresh":
            # What is asked for from now on brings the new token as well.
            self.http.headers["Authorization"] = f"Bearer {frame['token']}"
        # The stream ends by itself after `server_restart`.
        if self._is_begun and frame["type"] != "restart_ack":
            say = self._say_message if frame["type"] == "message" else self.post
            self.start(lambda: say(frame))

    async def _say_message(self, frame: Frame) -> None:
        async with self._order:
            # What one says comes after what one missed.
            await self.catch_up.done.wait()
            await self.post(frame)

    async def post(self, frame: Frame) -> None:
        response = await self.http.post(f"sessions/{self.session_id}/send", json=frame)
        if response.status_code == 204:
            return
        answer = response.json()
        if answer.get("code") == "session_unknown":
            return self.attempt.lost({"error": "session_unknown"})
        if answer.get("type") == "ack":
            self.acknowledged(answer)
        # A refusal by HTTP alone has no type.
        ref = {"ref": frame["ref"]} if "ref" in frame else {}
        self.catch_up.take({**ref, **answer, "type": answer.get("type", "error")})


class CatchUp:
    """Brings each room from its position to where the server goes on; what comes meanwhile is held back."""

    def __init__(self, link: HttpLink) -> None:
        self._link = link
        self._positions: dict[str, int] = dict(link.attempt.hello.get("positions", {}))
        self._held: dict[str, list[Frame]] = {room: [] for room in self._positions}
        self._told: dict[str, int] = {}  # Up to where the history told what is lost.
        self.done = asyncio.Event()
        if not self._held:
            self.done.set()

    def take(self, frame: Frame) -> None:
        """Takes a frame as it came: `joined` begins to catch up, and what belongs after that waits."""
        room = frame.get("room") or ""
        if frame["type"] == "gap" and (frame.get("before") or 2**53) <= self._told.get(room, -1):
            return
        held = self._held.get(room)
        if held is None:
            self._link.attempt.frame(frame)
            if frame["type"] == "session":
                # The user's own room comes with the session: nothing tells from where on its messages follow.
                for own in [room for room in self._held if is_own_room(room)]:
                    self._start(own, None)
        elif frame["type"] == "joined":
            self._start(room, frame.get("last_message_id") or 0)
        elif len(held) < HELD_FRAMES_MAX:
            held.append(frame)
        else:
            self._link.attempt.lost({"reason": "Too much came while the history was read."})

    def _start(self, room: str, end: int | None) -> None:
        self._link.start(lambda: self._catch_up(room, end))

    async def _catch_up(self, room: str, end: int | None) -> None:
        await self._read(room, end)
        held = self._held.pop(room, [])
        self._told[room] = self._positions[room]
        for frame in held:
            self.take(frame)
        if not self._held:
            self.done.set()

    async def _read(self, room: str, end: int | None) -> None:
        """Reads at least up to `end`, from where on messages follow by themselves; up to the last message if that is not known."""
        while True:
            after = self._positions[room]
            page = await self._page(room, after)
            if page is None:
                return
            messages = page.get("messages") or []
            stand = after if end is None else max(after, end)
            before = messages[0]["id"] if messages else None if end is None else stand + 1
            # A page that is incomplete only because it is full says so in the same word: better a needless warning than silence.
            is_loss = not page.get("complete") and after > 0 and (before is None or before > after + 1)
            position = self._positions[room] = messages[-1]["id"] if messages else stand
            told = {"type": "restore", "room": room, "messages": messages, "last_message_id": position, "recovered": not is_loss}
            self._link.attempt.frame(told)
            if is_loss:
                self._link.attempt.frame({"type": "gap", "room": room, "after": after, "before": before, "reason": "expired"})
            if not messages or (end is not None and position >= end):
                return

    async def _page(self, room: str, after: int) -> Frame | None:
        """A page of the history; nothing if it was refused, which ends the link with what the refusal asks for."""
        query = {"after": after, "limit": PAGE_MESSAGES}
        response = await self._link.http.get(f"rooms/{quote(room, safe='')}/messages", params=query)
        if not response.is_success:
            self._link.attempt.lost(await refusal(response))
            return None
        page: Frame = response.json()
        return page
