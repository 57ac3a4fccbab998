"""A cable between client and server that can be cut: a TCP forwarder. Owns both ends of every connection through it.

`tear` ends every connection in the middle of whatever it said, and lets no new one through; `mend` does again. What `refuses` names it answers
itself, as a proxy does that knows nothing of WebSockets; it looks at the first request of a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

UPGRADE = b"upgrade: websocket"
STREAM = b"get /events"
HISTORY = b"get /rooms/"


class Cable:
    def __init__(self, port: int, refuses: Iterable[bytes] = (), answer: bytes = b"HTTP/1.1 502 Bad Gateway\r\n") -> None:
        """`refuses` has pieces of a request's head, in small letters; `answer` is what the head of a refusal begins with."""
        self._far_port = port
        self.refuses = set(refuses)
        self._answer = answer
        self.said = bytearray()  # By the client.
        self.joints_made = 0
        self._is_whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._joints: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Cable:
        self._listener = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.tear()
        self._listener.close()
        await asyncio.gather(*self._joints)

    def tear(self) -> None:
        self._is_whole = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_whole = True

    # Not a coroutine function: asyncio would log its tasks' cancellation at the end of a loop.
    def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joint = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._joints.add(joint)
        joint.add_done_callback(self._joints.discard)

    async def _join(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if not self._is_whole:
            return near.transport.abort()
        self.joints_made += 1
        self._writers.add(near)
        try:
            head = await near_reader.readuntil(b"\r\n\r\n") if self.refuses else b""
        except (OSError, asyncio.IncompleteReadError):
            return near.close()
        if any(piece in head.lower() for piece in self.refuses):
            self.said += head
            near.write(self._answer + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            return near.close()
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._far_port)
        except OSError:
            self._writers.discard(near)
            return near.transport.abort()
        self._writers.add(far)
        self._carry(head, far)
        await asyncio.gather(self._lead(near_reader, lambda some: self._carry(some, far), far), self._lead(far_reader, near.write, near))
        self._writers -= {near, far}

    def _carry(self, some: bytes, far: asyncio.StreamWriter) -> None:
        self.said += some
        far.write(some)

    async def _lead(self, source: asyncio.StreamReader, carry: Callable[[bytes], None], to: asyncio.StreamWriter) -> None:
        try:
            while some := await source.read(65_536):
                carry(some)
                await to.drain()
        except OSError:
            pass
        finally:
            to.close()
