"""The client against the real server, over each transport: chat, bad networks, restarts, losses that are told."""

from __future__ import annotations

import asyncio
import json
import re
import unittest
from typing import Any

import httpx
from cable import UPGRADE, Cable
from server import Server
from tidings import Gap, Publisher, Refused, Tidings
from waiting import HURRY, live_in, over_each_transport, read, soon, until
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def naive_reader(url: str, room: str, got: list[int]) -> None:
    """Comes back as the textbook does: by itself, knowing nothing of what it missed."""
    while True:
        try:
            async with connect(f"{url.replace('http', 'ws')}/ws/{room}/naive") as socket:
                async for text in socket:
                    frame = json.loads(text)
                    if frame["type"] == "message":
                        got.append(frame["id"])
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.05)


class Client(unittest.IsolatedAsyncioTestCase):
    @over_each_transport
    async def test_two_people_chat(self, transport: str) -> None:
        server = Server(self)
        async with Tidings(server.url, user_id="ana", transports=[transport]) as ana, Tidings(server.url, user_id="ben", transports=[transport]) as ben:
            of_ana, of_ben = ana.room(transport), ben.room(transport)
            typed: asyncio.Queue[Any] = asyncio.Queue()
            of_ana.on("typing", typed.put_nowait)
            await live_in(of_ana, ana)
            await live_in(of_ben, ben)
            first = await soon(of_ana.send("Are the seedlings in?"))
            of_ben.typing()
            told = await soon(typed.get())
            self.assertEqual((told.user_id, told.is_typing), ("ben", True))
            last = await soon(of_ben.send({"since": "morning"}, key="seedlings"))
            for room in (of_ana, of_ben):
                messages = await soon(read(room, last))
                self.assertEqual([(message.id, message.user_id) for message in messages], [(first, "ana"), (last, "ben")])
                self.assertEqual((messages[0].text, messages[1].data, messages[1].key), ("Are the seedlings in?", {"since": "morning"}, "seedlings"))
            self.assertEqual([user.user_id for user in await soon(of_ana.presence())], ["ana", "ben"])

    @over_each_transport
    async def test_a_network_that_tears_loses_nothing_and_repeats_nothing(self, transport: str) -> None:
        server = Server(self)
        name = f"torn-{transport}"
        async with Cable(server.port) as cable, Tidings(cable.url, user_id="ana", transports=[transport], options=HURRY) as ana:
            room, gaps, naive = ana.room(name), list[Gap](), list[int]()
            room.on("gap", gaps.append)
            await live_in(room, ana)
            reader = asyncio.create_task(naive_reader(cable.url, name, naive))
            sent: list[int] = []
            own: list[asyncio.Task[int]] = []
            with Publisher(server.url) as publisher:
                for turn in range(8):
                    own.append(asyncio.create_task(room.send(f"own {turn}")))
                    for number in range(5):
                        sent.append(await asyncio.to_thread(publisher.publish, name, f"{turn}.{number}"))
                    cable.tear()
                    sent.append(await asyncio.to_thread(publisher.publish, name, f"{turn} while away"))
                    own.append(asyncio.create_task(room.send(f"own {turn} while away")))
                    cable.mend()
                    await until(ana, "live")
                    await soon(room.presence())
                sent += await soon(asyncio.gather(*own))
                last = publisher.publish(name, "last")
            sent = sorted([*sent, last])
            got = [message.id for message in await soon(read(room, last))]
            reader.cancel()
            print(f"{transport}: {len(sent)} published, {len(got)} delivered, {len(got) - len(set(got))} twice; the naive reader missed {len(set(sent) - set(naive))}")
            self.assertEqual(got, sent)
            self.assertEqual(gaps, [])

    @over_each_transport
    async def test_what_is_sent_while_away_goes_out_once(self, transport: str) -> None:
        server = Server(self)
        async with Cable(server.port) as cable, Tidings(cable.url, transports=[transport], options=HURRY) as ana, Tidings(server.url) as ben:
            room, witness = ana.room(transport), ben.room(transport)
            await live_in(room, ana)
            await live_in(witness, ben)
            cable.tear()
            sends = [asyncio.create_task(room.send(f"{number}")) for number in range(10)]
            await until(ana, "waiting")
            cable.mend()
            ids = await soon(asyncio.gather(*sends))
            messages = await soon(read(witness, ids[-1]))
            self.assertEqual([(message.id, message.text) for message in messages], [(id, str(number)) for number, id in enumerate(ids)])

    @over_each_transport
    async def test_a_restarted_server_is_come_back_to(self, transport: str) -> None:
        server = Server(self)
        async with Tidings(server.url, transports=[transport], options=HURRY) as ana:
            room = ana.room(transport)
            await live_in(room, ana)
            first = await soon(room.send("before"))
            await asyncio.to_thread(server.kill)
            await until(ana, "waiting")
            second = asyncio.create_task(room.send("said while it was down"))
            server = await asyncio.to_thread(lambda: Server(self, port=server.port))
            last = await soon(second)
            self.assertEqual([message.id for message in await soon(read(room, last))], [first, last])

    @over_each_transport
    async def test_a_rehearsed_restart_ends_the_connection_and_loses_nothing(self, transport: str) -> None:
        server = Server(self, "--reconnect-after-ms", "50")
        async with Tidings(server.url, transports=[transport], options=HURRY) as ana:
            room, told = ana.room(transport), asyncio.Event()
            ana.on("restart", lambda _: told.set())
            await live_in(room, ana)
            session_id = ana.session_id
            first = await soon(room.send("before"))
            async with httpx.AsyncClient(base_url=server.url) as http:
                # Between two polls there is nobody to tell.
                while not told.is_set():
                    await http.post(f"sessions/{session_id}/send", json={"type": "rehearse_restart"})
                    await asyncio.sleep(0.05)
            second = await soon(room.send("said while it is told to come back later"))
            self.assertEqual([message.id for message in await soon(read(room, second))], [first, second])
            self.assertEqual(ana.session_id, session_id)

    @over_each_transport
    async def test_a_history_that_is_too_short_is_told_as_a_gap(self, transport: str) -> None:
        server = Server(self)
        name = f"short-{transport}"
        async with Cable(server.port) as cable, Tidings(cable.url, transports=[transport], options=HURRY) as ana:
            room, gaps = ana.room(name), asyncio.Queue[Gap]()
            room.on("gap", gaps.put_nowait)
            await live_in(room, ana)
            first = await soon(room.send("seen"))
            await soon(read(room, first))
            cable.tear()
            await until(ana, "waiting")
            with Publisher(server.url) as publisher:
                # A room keeps 100.
                ids = [publisher.publish(name, str(number)) for number in range(130)]
            cable.mend()
            gap = await soon(gaps.get())
            self.assertEqual((gap.room, gap.after, gap.reason), (name, first, "expired"))
            self.assertTrue(ids[0] < (gap.before or 0) <= ids[30], gap)

    async def test_it_falls_back_when_websockets_do_not_pass(self) -> None:
        server = Server(self)
        async with Cable(server.port, refuses=[UPGRADE]) as cable, Tidings(cable.url, options=HURRY) as ana:
            room = ana.room("news")
            await live_in(room, ana)
            self.assertEqual(ana.transport, "sse")
            last = await soon(room.send("hi"))
            self.assertEqual([message.id for message in await soon(read(room, last))], [last])

    @over_each_transport
    async def test_a_users_messages_reach_the_user_also_those_that_were_missed(self, transport: str) -> None:
        server = Server(self)
        with Publisher(server.url) as publisher:
            early = publisher.publish_to_user(transport, "before the first connection")
            async with Cable(server.port) as cable, Tidings(cable.url, user_id=transport, transports=[transport], options=HURRY) as ana:
                inbox = ana.room(f"@{transport}", after=0)
                await until(ana, "live")
                self.assertEqual([message.id for message in await soon(read(inbox, early))], [early])
                ids = []
                for turn in range(3):
                    ids.append(await asyncio.to_thread(publisher.publish_to_user, transport, f"{turn} live"))
                    cable.tear()
                    ids.append(await asyncio.to_thread(publisher.publish_to_user, transport, f"{turn} missed"))
                    await until(ana, "waiting")
                    cable.mend()
                    await until(ana, "live")
                ids.append(publisher.publish_to_user(transport, "last"))
                self.assertEqual([message.id for message in await soon(read(inbox, ids[-1]))], ids)

    async def test_each_connection_says_a_greater_attempt(self) -> None:
        server = Server(self)
        for transport, path in (("sse", "/events"), ("poll", "/poll/")):
            async with Cable(server.port) as cable, Tidings(cable.url, transports=[transport], options=HURRY) as ana:
                await live_in(ana.room("news"), ana)
                cable.tear()
                await until(ana, "waiting")
                cable.mend()
                await until(ana, "live")
                said = re.findall(rf"GET {path}\S*", bytes(cable.said).decode())
                attempts = [int(match[1]) for address in said if (match := re.search(r"[?&]attempt=(\d+)", address))]
                self.assertEqual(len(attempts), len(said), "none goes without")
                self.assertEqual(attempts, sorted(attempts))
                self.assertGreaterEqual(len(set(attempts)), 2)

    async def test_what_is_not_answered_when_it_is_closed_is_refused(self) -> None:
        client = Tidings("http://127.0.0.1:9", options=HURRY)
        sending = asyncio.create_task(client.room("nowhere").send("hi"))
        await until(client, "waiting")
        await client.close()
        with self.assertRaises(Refused) as raised:
            await soon(sending)
        self.assertEqual(raised.exception.code, "closed")


if __name__ == "__main__":
    unittest.main()
