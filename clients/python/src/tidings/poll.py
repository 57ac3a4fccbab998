"""A session over long polls, each with the cursor that the one before answered, and POSTs to speak. Refuses to go on after an
error: the machine pauses and begins anew.
"""

from __future__ import annotations

import uuid
from typing import Any

from .http import ANSWER_TIMEOUT_S, HttpLink, http_client, query_of, refusal, rooms_of
from .transport import Attempt, Frame

BATCH_FRAMES = 50
HOLD_S = 25


class PollLink(HttpLink):
    def __init__(self, attempt: Attempt) -> None:
        # A name for this link's polls, so that the server knows that a newer one takes the place of an older one.
        self._client_id = uuid.uuid4().hex
        super().__init__(attempt)

    async def listen(self) -> None:
        # The first poll only introduces the client, so that it knows at once that it is in.
        answer = await self._ask(None, 0)
        if answer is None:
            return
        await self._begin(answer)
        while not self.is_dropped:
            answer = await self._ask(answer["cursor"], HOLD_S)
            if answer is None:
                return
            self._take(answer)

    def say(self, frame: Frame) -> None:
        # Another server would answer the next poll as if nothing were, and this client wait for an end that does not come.
        if frame["type"] == "restart_ack":
            self.attempt.lost({})
        else:
            super().say(frame)

    def _take(self, answer: dict[str, Any]) -> None:
        self.attempt.heard()
        for frame in answer["data"]:
            self.catch_up.take(frame)

    async def _ask(self, cursor: str | None, hold_s: int) -> dict[str, Any] | None:
        """One poll; nothing if it was refused."""
        hello = {**self.attempt.hello, "session_id": self.session_id}
        query = query_of(hello, batch=BATCH_FRAMES, timeout_s=hold_s, cursor=cursor)
        response = await self.http.get(f"poll/{self._client_id}", params=query, timeout=hold_s + ANSWER_TIMEOUT_S)
        if not response.is_success:
            self.attempt.lost(await refusal(response))
            return None
        answer: dict[str, Any] = response.json()
        return {**answer, "node": response.headers.get("Tidings-Node")}

    async def _begin(self, answer: dict[str, Any]) -> None:
        resumed = answer["session_id"] == self.session_id
        self.began(answer["session_id"])
        # The session is told before anything that is in it. Being in these rooms already changes nothing; the answer says from
        # where on messages follow. One after the other: whoever joins while another request takes the session is `superseded`.
        rooms = rooms_of(self.attempt.hello)
        told = {"type": "session", "session_id": self.session_id, "resumed": resumed, "rooms": rooms or ["lobby"], "node": answer["node"]}
        self.catch_up.take(told)
        self._take(answer)
        for room in rooms:
            if room in self.attempt.hello.get("positions", {}):
                await self.post({"type": "join", "room": room})

    @staticmethod
    async def probe(base: str) -> bool:
        """Whether the server is reached at all; a poll that answers at once."""
        async with http_client(base, {}) as http:
            return (await http.get(f"poll/{uuid.uuid4().hex}", params={"timeout_s": 0})).is_success
