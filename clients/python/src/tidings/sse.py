"""A session over server-sent events: one request whose body is the stream, and POSTs to speak. Refuses to come back by itself."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Callable, Iterator

import httpx

from .http import HttpLink, http_client, query_of, refusal, rooms_of
from .transport import Attempt, Frame

# So long the client's own message may take to come on the stream once it was acknowledged.
ECHO_S = 5
# The server sends a comment after `ping_interval_ms` of silence; so much later, the stream is dead or held back.
GRACE_S = 10
NO_END = httpx.Timeout(10, read=None)


class SseLink(HttpLink):
    def __init__(self, attempt: Attempt) -> None:
        self._watch = _Watch(lambda reason: attempt.lost({"buffered": True, "reason": reason}))
        super().__init__(attempt)

    def drop(self) -> None:
        self._watch.clear()
        super().drop()

    async def listen(self) -> None:
        accept = {"Accept": "text/event-stream"}
        async with self.http.stream("GET", "events", params=query_of(self.attempt.hello), headers=accept, timeout=NO_END) as response:
            if not response.is_success:
                return self.attempt.lost(await refusal(response))
            lines = Lines()
            async for some in response.aiter_bytes():
                self._watch.bytes()
                self.attempt.heard()
                for frame in lines.take(some):
                    self._receive(frame)
                    if self.is_dropped:
                        return
        self.attempt.lost({})

    def acknowledged(self, frame: Frame) -> None:
        if frame.get("room") in rooms_of(self.attempt.hello):
            self._watch.expect_bytes()

    def _receive(self, frame: Frame) -> None:
        if frame["type"] == "session":
            self.began(frame["session_id"])
            self._watch.interval_s = (frame.get("ping_interval_ms") or 25_000) / 1_000 + GRACE_S
        if frame["type"] == "close":  # The code and the reason that a WebSocket would be closed with.
            self.attempt.lost({"code": frame.get("code"), "reason": frame.get("reason")})
        else:
            self.catch_up.take(frame)

    @staticmethod
    async def probe(base: str) -> bool:
        """A guest's stream: what counts is that its first bytes come."""
        async with http_client(base, {}) as http, http.stream("GET", "events") as response:
            async for _ in response.aiter_bytes():
                return response.is_success
        return False


class Lines:
    """The stream's bytes as frames: the JSON of each event's `data`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""
        self._data: list[str] = []

    def take(self, some: bytes) -> Iterator[Frame]:
        *lines, self._rest = (self._rest + self._decoder.decode(some)).split("\n")
        for line in lines:
            if line.startswith("data:"):
                self._data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and self._data:
                text, self._data = "\n".join(self._data), []
                yield json.loads(text)


class _Watch:
    """Notices that the stream is silent for too long."""

    def __init__(self, give_up: Callable[[str], None]) -> None:
        self.interval_s: float | None = None
        self._give_up = give_up
        self._silence: asyncio.TimerHandle | None = None
        self._echo: asyncio.TimerHandle | None = None

    def bytes(self) -> None:
        self.clear()
        if self.interval_s is not None:
            self._silence = self._later(self.interval_s, "The event stream went silent.")

    def expect_bytes(self) -> None:
        if self._echo is None:
            self._echo = self._later(ECHO_S, "Something on the way holds the event stream back.")

    def clear(self) -> None:
        for timer in (self._silence, self._echo):
            if timer:
                timer.cancel()
        self._silence = self._echo = None

    def _later(self, seconds: float, reason: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._give_up, reason)
