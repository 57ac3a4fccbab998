"""A session over one WebSocket: frames both ways. Refuses to come back by itself."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .http import refusal_of
from .transport import Attempt, Frame, Link

# A `restore` is cut into parts by the server; no frame comes near this.
FRAME_BYTES_MAX = 16 * 1024 * 1024
WAITING_FRAMES_MAX = 1_000
CLOSE_TIMEOUT_S = 2


def _open(base: str) -> connect:
    # The machine has its own times for attempts and for silence.
    address = "ws" + base.removeprefix("http") + "ws"
    return connect(address, ping_interval=None, open_timeout=None, close_timeout=CLOSE_TIMEOUT_S, max_size=FRAME_BYTES_MAX)


class WebSocketLink(Link):
    def __init__(self, attempt: Attempt) -> None:
        self._waiting: asyncio.Queue[Frame] = asyncio.Queue(WAITING_FRAMES_MAX)
        super().__init__(attempt)

    def say(self, frame: Frame) -> None:
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.attempt.lost({"reason": "The connection does not take what is said."})

    async def run(self) -> None:
        try:
            socket = await _open(self.attempt.base)
        except InvalidStatus as error:
            response = error.response
            return self.attempt.lost(refusal_of(response.status_code, response.headers.get("Retry-After"), bytes(response.body or b"")))
        try:
            await socket.send(json.dumps(self.attempt.hello))
            self.start(lambda: self._write(socket))
            while not self.is_dropped:
                self.attempt.frame(json.loads(await socket.recv()))
        except ConnectionClosed:
            self.attempt.lost({"code": socket.close_code, "reason": socket.close_reason})
        finally:
            await socket.close()

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await socket.send(json.dumps(await self._waiting.get()))
        except ConnectionClosed:
            pass  # The reader tells it.

    @staticmethod
    async def probe(base: str) -> bool:
        """A guest's ping: it says that bytes go there and come back, and nobody else sees it."""
        async with _open(base) as socket:
            await socket.send('{"type":"ping"}')
            return bool(json.loads(await socket.recv())["type"] == "pong")
