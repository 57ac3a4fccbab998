"""Which way the client takes, and how long it waits, against the real server: up to a better transport, and as long as it was told."""

from __future__ import annotations

import asyncio
import unittest
from dataclasses import replace

from cable import HISTORY, STREAM, UPGRADE, Cable
from server import Server
from tidings import Gap, Publisher, Tidings
from waiting import HURRY, States, live_in, read, soon
from websockets.asyncio.client import connect

CLIMB = replace(HURRY, climb_ms=100)
PLACES = 4


class Ways(unittest.IsolatedAsyncioTestCase):
    async def test_it_climbs_up_one_by_one_while_messages_flow_and_misses_nothing(self) -> None:
        server = Server(self)
        async with Cable(server.port, refuses=[UPGRADE, STREAM]) as cable, Tidings(cable.url, user_id="ana", options=CLIMB) as ana:
            states, room, gaps = States(ana), ana.room("news"), list[Gap]()
            room.on("gap", gaps.append)
            await states.next("live", "poll")
            await live_in(room, ana)
            sessions = {ana.session_id}
            ids: list[int] = []

            async def publish() -> None:
                with Publisher(server.url) as publisher:
                    while True:
                        ids.append(await asyncio.to_thread(publisher.publish, "news", "flows"))
                        await asyncio.sleep(0.005)

            publishing = asyncio.create_task(publish())
            own = [asyncio.create_task(room.send("said below"))]
            cable.refuses.remove(STREAM)
            await states.next("live", "sse")
            sessions.add(ana.session_id)
            own.append(asyncio.create_task(room.send("said on the way")))
            cable.refuses.remove(UPGRADE)
            await states.next("live", "websocket")
            sessions.add(ana.session_id)
            ids += await soon(asyncio.gather(*own))
            publishing.cancel()
            last = await soon(room.send("said above"))
            got = [message.id for message in await soon(read(room, last))]
            # What was being published when the publisher was cancelled may be stored without an answer.
            self.assertEqual(sorted(set(ids) - set(got)), [])
            self.assertEqual(got, sorted(set(got)))
            self.assertEqual(gaps, [])
            self.assertEqual(len(sessions), 1, "it is one session all the way")

    async def test_who_finds_no_better_way_stays_where_it_is(self) -> None:
        server = Server(self)
        async with Cable(server.port, refuses=[UPGRADE]) as cable, Tidings(cable.url, options=CLIMB) as ana:
            states, room = States(ana), ana.room("news")
            await states.next("live", "sse")
            looked = cable.said.lower().count(UPGRADE)
            while cable.said.lower().count(UPGRADE) < looked + 2:
                await soon(room.presence())
            self.assertEqual((ana.state, ana.transport), ("live", "sse"))
            self.assertEqual([state.state for state in states.told].count("live"), 1, "looking disturbs nothing")

    async def test_a_full_server_is_come_back_to_no_sooner_than_it_says_and_over_the_same_way(self) -> None:
        for transport, other in (("sse", "poll"), ("poll", "sse")):
            with self.subTest(transport):
                # What a client of a stream says beside it takes connections of its own.
                server = Server(self, "--connections-max", str(PLACES))
                occupants = [await connect(f"{server.url.replace('http', 'ws')}/ws/lobby/{number}") for number in range(PLACES)]
                try:
                    for occupant in occupants:
                        await soon(occupant.recv())
                    async with Tidings(server.url, transports=[transport, other], options=HURRY) as ana:
                        states, room = States(ana), ana.room("news")
                        for _ in range(2):
                            waiting = await states.next("waiting")
                            self.assertEqual((waiting.code, waiting.transport), ("at_capacity", transport))
                            # `Retry-After: 1`, and a part of as much again; its own pauses are at most 0.2 s.
                            self.assertGreaterEqual(waiting.retry_in_ms or 0, 1_000)
                            self.assertLessEqual(waiting.retry_in_ms or 0, 2_000)
                            ana.nudge()
                            self.assertEqual(ana.state, "waiting", "a pause that the server asked for is kept")
                        await asyncio.gather(*(occupant.close() for occupant in occupants))
                        await states.next("live", transport)
                        self.assertGreater(await soon(room.send("in")), 0)
                finally:
                    await asyncio.gather(*(occupant.close() for occupant in occupants))

    async def test_a_history_that_is_refused_for_a_while_is_asked_for_when_it_said(self) -> None:
        server = Server(self)
        busy = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
        async with Cable(server.port, answer=busy) as cable, Tidings(cable.url, transports=["sse"], options=HURRY) as ana:
            states, room = States(ana), ana.room("news")
            await live_in(room, ana)
            cable.refuses.add(HISTORY)
            cable.tear()
            await states.next("waiting")
            with Publisher(server.url) as publisher:
                missed = publisher.publish("news", "missed")
            cable.mend()
            await states.next("live")
            refused = await states.next("waiting")
            self.assertGreaterEqual(refused.retry_in_ms or 0, 1_000)
            cable.refuses.clear()
            self.assertEqual([message.id for message in await soon(read(room, missed))], [missed])


if __name__ == "__main__":
    unittest.main()
