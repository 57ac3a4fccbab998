"""What goes wrong for good, by the codes of docs/errors.md and the client's own."""

from __future__ import annotations

import httpx


class Refused(Exception):
    """It was not done. `code` is the server's, or `outcome_unknown` (nobody knows whether it was stored), `queue_full`, `closed`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @classmethod
    def of(cls, response: httpx.Response) -> Refused:
        try:
            body = response.json()
            return cls(str(body["code"]), str(body["message"]))
        except (ValueError, KeyError, TypeError):
            return cls("outcome_unknown", f"HTTP status {response.status_code}")
