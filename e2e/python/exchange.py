"""The Python package `websockets` against a server whose ws:// address is the only argument.

Ends with 0 when everything was answered as promised; an assertion names what was not.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def receive(websocket, kind):
    """The next frame of a type; frames of other types are passed over."""
    async with asyncio.timeout(20):
        async for text in websocket:
            frame = json.loads(text)
            if frame["type"] == kind:
                return frame
    raise AssertionError(f"the connection ended before {kind} came")


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


async def main(address):
    for act in (
        compressed_and_plain_clients_understand_each_other,
        a_session_is_resumed_as_in_the_textbook,
        pings_and_closing_follow_the_rfc,
    ):
        await act(address)
        print(act.__name__)


asyncio.run(main(sys.argv[1]))
