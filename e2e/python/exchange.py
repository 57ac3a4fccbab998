"""The Python package `websockets` against a server whose ws:// address is the only argument.

Ends with 0 when everything was answered as promised; an assertion names what was not.
"""

import asyncio
import json

from harness import receive, run
from websockets.asyncio.client import connect


async def compressed_and_plain_clients_understand_each_other(address):
    async with connect(f"{address}/ws/snakes/ana") as ana, connect(f"{address}/ws/snakes/ben", compression=None) as ben:
        assert "permessage-deflate" in ana.response.headers["Sec-WebSocket-Extensions"]
        await receive(ben, "session")
        text = "sssnake 🐍 " * 2_000
        await ana.send(json.dumps({"type": "message", "text": text, "ref": "a"}))
        acknowledged = await receive(ana, "ack")
        message = await receive(ben, "message")
        assert (message["id"], message["text"], message["user_id"]) == (acknowledged["id"], text, "ana")
        await ben.send(["in ", "fragments"])
        while (await receive(ana, "message"))["text"] != "in fragments":
            pass


async def a_session_is_resumed_as_in_the_textbook(address):
    async with connect(f"{address}/ws") as first:
        await first.send(json.dumps({"user_id": "cleo"}))
        session = await receive(first, "session")
        await first.send(json.dumps({"type": "message", "text": "before"}))
        seen = await receive(first, "message")
    async with connect(f"{address}/ws/lobby/dora") as other:
        await receive(other, "session")
        await other.send("missed")
        missed = await receive(other, "message")
    async with connect(f"{address}/ws") as again:
        await again.send(json.dumps({"session_id": session["session_id"], "last_message_id": seen["id"]}))
        restored = await receive(again, "restore")
        assert [message["id"] for message in restored["messages"]] == [missed["id"]], restored
        assert restored["recovered"] is True


async def pings_and_closing_follow_the_rfc(address):
    async with connect(f"{address}/ws/snakes") as websocket:
        await receive(websocket, "session")
        async with asyncio.timeout(20):
            await (await websocket.ping(b"python"))
    assert websocket.close_code == 1000


async def a_newer_connection_takes_the_session_over(address):
    async with connect(f"{address}/ws") as older, connect(f"{address}/ws") as newer:
        await older.send(json.dumps({"user_id": "cleo", "rooms": ["tower"]}))
        session = await receive(older, "session")
        await older.send(json.dumps({"type": "message", "room": "tower", "text": "mine", "ref": "1"}))
        acknowledged = await receive(older, "ack", ref="1")
        await newer.send(json.dumps({"session_id": session["session_id"], "positions": {"tower": acknowledged["id"]}}))
        again = await receive(newer, "session")
        assert again["resumed"] is True and again["user_id"] == "cleo" and "tower" in again["rooms"], again
        async with asyncio.timeout(20):
            await older.wait_closed()
        assert older.close_code == 4000, older.close_code
        await newer.send(json.dumps({"type": "message", "room": "tower", "text": "mine", "ref": "1"}))
        assert await receive(newer, "ack", ref="1") == acknowledged, "the same ref in the same session is stored once"


async def typing_is_told_as_in_the_textbook(address):
    async with connect(f"{address}/ws/desk/ana") as ana, connect(f"{address}/ws/desk/ben") as ben:
        await receive(ana, "user_joined", user_id="ben")
        await receive(ben, "session")
        for said, told in (("typing_start", "user_typing"), ("typing_stop", "user_stopped_typing")):
            await ana.send(json.dumps({"type": said}))
            assert await receive(ben, told) == {"type": told, "room": "desk", "user_id": "ana"}
        await ana.send(json.dumps({"type": "message", "text": "Done typing"}))
        assert (await receive(ben, "message"))["text"] == "Done typing"


run(
    compressed_and_plain_clients_understand_each_other,
    a_session_is_resumed_as_in_the_textbook,
    a_newer_connection_takes_the_session_over,
    typing_is_told_as_in_the_textbook,
    pings_and_closing_follow_the_rfc,
)
