"""A session that somebody else has: the client that is too old for it stays away, against the real server and over each transport."""

from __future__ import annotations

import asyncio
import json
import time
import unittest

from cable import Cable
from server import Server
from tidings import Refused, Tidings
from waiting import HURRY, States, live_in, over_each_transport, soon
from websockets.asyncio.client import ClientConnection, connect

AHEAD_MS = 600_000


async def take_over(server: Server, session_id: str | None) -> ClientConnection:
    """Resumes a session with an attempt that is ahead of every client's clock."""
    socket = await connect(f"{server.url.replace('http', 'ws')}/ws")
    attempt = int(time.time() * 1_000) + AHEAD_MS
    await socket.send(json.dumps({"type": "hello", "session_id": session_id, "attempt": attempt}))
    while (frame := json.loads(await soon(socket.recv())))["type"] != "session":
        pass
    assert frame["resumed"], frame
    return socket


class Takeover(unittest.IsolatedAsyncioTestCase):
    @over_each_transport
    async def test_whose_session_is_taken_over_is_closed_and_stays_away(self, transport: str) -> None:
        server = Server(self)
        async with Cable(server.port) as cable, Tidings(cable.url, transports=[transport], options=HURRY) as ana:
            states, room = States(ana), ana.room("news")
            await live_in(room, ana)
            reading = asyncio.ensure_future(room.__aiter__().__anext__())
            socket = await take_over(server, ana.session_id)
            closed = await states.next("closed")
            self.assertIn(closed.code, (4_000, "superseded"))
            with self.assertRaises(Refused) as ended:
                await soon(reading)
            self.assertEqual(ended.exception.code, str(closed.code))
            with self.assertRaises(Refused) as refused:
                await soon(room.send("too late"))
            self.assertEqual(refused.exception.code, "closed")
            # Whoever took it has it: nobody takes it back.
            await socket.send('{"type":"ping"}')
            while json.loads(await soon(socket.recv()))["type"] != "pong":
                pass
            self.assertEqual(states.told[-1], closed)
            await socket.close()

    @over_each_transport
    async def test_an_attempt_that_comes_late_is_refused_and_stays_away(self, transport: str) -> None:
        server = Server(self)
        async with Cable(server.port) as cable, Tidings(cable.url, transports=[transport], options=HURRY) as ana:
            states, room = States(ana), ana.room("news")
            await live_in(room, ana)
            cable.tear()
            await states.next("waiting")
            sending = asyncio.create_task(room.send("said meanwhile"))
            socket = await take_over(server, ana.session_id)
            cable.mend()
            closed = await states.next("closed")
            self.assertEqual(closed.code, "superseded")
            with self.assertRaises(Refused) as refused:
                await soon(sending)
            self.assertEqual(refused.exception.code, "closed")
            await socket.close()


if __name__ == "__main__":
    unittest.main()
