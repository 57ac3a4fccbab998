"""Tokens against the real server: asked for before connecting, and renewed while the connection stays."""

from __future__ import annotations

import base64
import json
import re
import time
import unittest

from cable import Cable
from server import Server
from tidings import Tidings
from tidings.tokens import expiry_of
from waiting import HURRY, States, live_in, over_each_transport, soon


def token_of(number: int, seconds: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds, "jti": number}).encode()).decode().rstrip("=")
    return f"e30.{payload}.x"


class Tokens(unittest.IsolatedAsyncioTestCase):
    def test_the_end_of_a_token_is_read(self) -> None:
        end = time.time() + 9
        self.assertAlmostEqual(expiry_of(token_of(1, 9)) or 0, end, delta=1)
        for strange in ("opaque", "a.b.c", "..", "e30.e30.x", "e30.bnVsbA.x"):
            self.assertIsNone(expiry_of(strange), strange)

    @over_each_transport
    async def test_a_token_is_renewed_before_its_end_and_the_connection_stays(self, transport: str) -> None:
        server = Server(self)
        given: list[str] = []

        async def token() -> str:
            given.append(token_of(len(given), 1.5))
            return given[-1]

        async with Cable(server.port) as cable, Tidings(cable.url, token, transports=[transport], options=HURRY) as ana:
            states, room, errors = States(ana), ana.room("news"), list[object]()
            ana.on("error", errors.append)
            await live_in(room, ana)
            joints = cable.joints_made

            async def given_times(count: int) -> None:
                while len(given) < count:
                    await room.presence()

            await soon(given_times(3))
            last = await soon(room.send("still here"))
            self.assertGreater(last, 0)
            self.assertEqual([state.state for state in states.told], ["connecting", "live"])
            self.assertEqual(errors, [], "that today's server does not serve `refresh` is taken without a word")
            if transport == "websocket":
                self.assertEqual(cable.joints_made, joints, "it is the same connection")
                return

            async def was_said(token: str) -> None:
                # Beside what else is asked, so it may come later.
                while not re.search(rf'"type": ?"refresh", ?"token": ?"{re.escape(token)}"', bytes(cable.said).decode()):
                    await room.presence()

            for renewed in given[1:3]:
                await soon(was_said(renewed))
            said = bytes(cable.said).decode()
            bearers = re.findall(r"(?i)authorization: bearer (\S+)", said)
            self.assertEqual(bearers[0], given[0])
            self.assertNotIn(bearers[-1], given[:2], "what is asked for after a renewal brings the new token")

    @over_each_transport
    async def test_the_next_connection_brings_the_newest_token(self, transport: str) -> None:
        server = Server(self)
        given: list[str] = []

        def token() -> str:
            given.append(token_of(len(given), 1.0))
            return given[-1]

        async with Cable(server.port) as cable, Tidings(cable.url, token, transports=[transport], options=HURRY) as ana:
            states, room = States(ana), ana.room("news")
            await states.next("live")

            async def given_again() -> None:
                while len(given) < 2:
                    await room.presence()

            await soon(given_again())
            cable.tear()
            await states.next("waiting")
            cable.said.clear()
            cable.mend()
            await states.next("live")
            await soon(room.presence())
            if transport != "websocket":
                bearers = re.findall(r"(?i)authorization: bearer (\S+)", bytes(cable.said).decode())
                self.assertNotIn(given[0], bearers)
                self.assertIn(bearers[0], given)

    async def test_who_gets_no_token_is_refused_nothing_and_tries_again(self) -> None:
        server = Server(self)
        tries = 0

        def token() -> str:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise OSError("the backend that gives tokens is away")
            return "opaque"

        with self.assertLogs("tidings", "ERROR"):
            async with Tidings(server.url, token, options=HURRY) as ana:
                states, room = States(ana), ana.room("news")
                sent = await soon(room.send("late"))
                self.assertGreater(sent, 0)
                self.assertEqual([state.state for state in states.told], ["connecting", "waiting"] * 2 + ["connecting", "live"])
                self.assertEqual({state.transport for state in states.told}, {"websocket"}, "no transport is to blame")

    async def test_a_token_without_a_function_is_sent_and_never_renewed(self) -> None:
        server = Server(self)
        async with Cable(server.port) as cable, Tidings(cable.url, token_of(0, 0.5), transports=["sse"], options=HURRY) as ana:
            room = ana.room("news")
            await live_in(room, ana)
            end = time.monotonic() + 1
            while time.monotonic() < end:
                await soon(room.presence())
            self.assertEqual(ana.state, "live")
            self.assertNotIn(b"refresh", bytes(cable.said))


if __name__ == "__main__":
    unittest.main()
