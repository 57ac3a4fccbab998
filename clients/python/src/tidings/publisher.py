"""Publishing from a backend, without a session: one blocking request per message, tried again until its outcome is known.

Owns an `httpx.Client`. Refuses to publish twice: each message has one `Idempotency-Key` over all its attempts.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import Any
from urllib.parse import quote

import httpx

from .errors import Refused
from .options import Options
from .backoff import Backoff

# The server knows a key again for five minutes; behind that a repeat could be a second message.
REPEAT_S = 240.0
AGAIN = {408, 429, 502, 503, 504}


class Publisher:
    """Publishes to rooms and users. Safe to use from several threads."""

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = 10.0, give_up_s: float = 30.0) -> None:
        """`key` goes along as `Authorization: Bearer`; today's server does not look at it. `give_up_s` bounds all attempts together."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._give_up_s = min(give_up_s, REPEAT_S)

    def publish(self, room: str, content: Any, *, key: str | None = None, user_id: str | None = None, idempotency_key: str | None = None) -> int:
        """Publishes text (a string) or data (any other JSON) and gives the message's id. `key` is what the message is about."""
        return self._post(f"rooms/{quote(room, safe='')}/messages", content, key, user_id, idempotency_key)

    def publish_to_user(self, user: str, content: Any, *, key: str | None = None, idempotency_key: str | None = None) -> int:
        """The same, to all sessions of a user."""
        return self._post(f"users/{quote(user, safe='')}/messages", content, key, None, idempotency_key)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, path: str, content: Any, key: str | None, user_id: str | None, idempotency_key: str | None) -> int:
        body = {"text" if isinstance(content, str) else "data": content}
        body |= {name: value for name, value in (("key", key), ("user_id", user_id)) if value is not None}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        backoff, deadline = Backoff(Options()), time.monotonic() + self._give_up_s
        while True:
            hint_ms = None
            try:
                response = self._http.post(path, json=body, headers=headers)
            except httpx.TransportError as error:
                refused = Refused("outcome_unknown", f"No answer: {error}")
            else:
                if response.is_success:
                    return int(response.json()["id"])
                refused = Refused.of(response)
                if response.status_code not in AGAIN:
                    raise refused
                hint_ms = retry_after_ms(response)
            pause_s = backoff.lost(0, hint_ms, random.random()) / 1_000
            if time.monotonic() + pause_s > deadline:
                raise refused
            time.sleep(pause_s)


def retry_after_ms(response: httpx.Response) -> float | None:
    """`Retry-After` in milliseconds, where it tells seconds."""
    try:
        return max(0.0, float(response.headers["Retry-After"]) * 1_000)
    except (KeyError, ValueError):
        return None
