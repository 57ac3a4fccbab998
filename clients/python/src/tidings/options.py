"""The lengths and bounds of docs/client-spec.md. Owned by whoever makes a machine; refuses to know what they are used for."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """What a machine may be told; times are in milliseconds."""

    transports: tuple[str, ...] = ("websocket",)
    """From the one that is wanted most to the last resort."""
    remembered: str | None = None
    """The one that worked last time."""
    rooms: dict[str, int | None] = field(default_factory=dict)
    user_id: str | None = None
    has_token: bool = False
    """Whether a token has to be asked for before connecting."""
    first_ms: int = 1_000
    """The ceiling of the first pause."""
    longest_ms: int = 30_000
    """No ceiling is higher."""
    least_ms: int = 100
    """No pause is shorter, so that not even bad luck makes a tight loop."""
    stable_ms: int = 5_000
    """So long a connection must have lasted to begin from the first pause again."""
    hint_max_ms: int = 600_000
    """A server's hint counts for no more than this."""
    probe_ms: int = 5_000
    """Time for an attempt to bring a session while there is another transport to try."""
    attempt_ms: int = 10_000
    """The same when there is none."""
    answer_ms: int = 10_000
    """Time for an answer to a ping."""
    doubt_ms: int = 3_000
    """The same when there is cause to believe that the connection broke."""
    eager_ms: int = 1_000
    """No two attempts that an event brings forward are closer than this."""
    queue_max: int = 100
    repeat_ms: int = 240_000
    """Within this time a message may be said again under its `ref`."""
    resend_ms: int = 1_000
    typing_ms: int = 3_000
    climb_ms: int = 60_000
    climb_longest_ms: int = 600_000
    token_margin_ms: int = 60_000
    token_retry_ms: int = 5_000
