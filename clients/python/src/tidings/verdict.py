"""What a loss or a refusal means for the client: come back, come back with another token, or stay away.

One table, the same as docs/errors.md. Refuses to decide when; that is the backoff's.
"""

from __future__ import annotations

from typing import Any, Literal

Verdict = Literal["again", "token", "stop"]

Loss = dict[str, Any]
"""How a connection or an attempt ended, as far as it is known: `code`, `status`, `error`, `reason`, `retry_after_ms`, `buffered`."""

FINAL_CODES = {1000, 1002, 1003, 1007, 1008, 1009, 4000}
# Said by the library that notices the end, never by the server.
UNSPOKEN_CODES = {None, 1005, 1006, 1015}

FINAL_ERRORS = set(
    "bad_frame unknown_type not_supported bad_room bad_user bad_ref bad_query room_required not_in_room bad_cursor superseded forbidden "
    "message_too_large unsupported_media_type not_found method_not_allowed bad_head head_too_large bad_handshake upgrade_required".split()
)
# These say nothing about a message: it is said again a little later.
PASSING_ERRORS = {"rate_limited", "engine_unavailable", "restarting", "at_capacity"}


def verdict(loss: Loss) -> Verdict:
    code, error = loss.get("code"), loss.get("error")
    if error is not None:
        return "stop" if error in FINAL_ERRORS else "again"
    if code == 4003 or loss.get("status") == 401:
        return "token"
    return "stop" if code in FINAL_CODES else "again"


def is_servers_word(loss: Loss) -> bool:
    """Whether the server itself was reached: then nothing is wrong with the transport."""
    return not loss.get("buffered") and (loss.get("error") is not None or loss.get("code") not in UNSPOKEN_CODES)
