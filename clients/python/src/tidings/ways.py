"""Which transport is tried next, and when a better one is looked for. Pure; owned by one machine. Refuses to try anything itself."""

from __future__ import annotations

from .options import Options
from .verdict import Loss, is_servers_word

FAILURES_OF_A_PROVEN_TRANSPORT = 3


class Ways:
    def __init__(self, options: Options) -> None:
        self._options = options
        names = options.transports
        self.index = names.index(options.remembered) if options.remembered in names else 0
        self.is_probing = False
        self._failures = 0
        self._proven: set[str] = set()
        self._climb_wait_ms = options.climb_ms

    @property
    def transport(self) -> str:
        return self._options.transports[self.index]

    def worked(self, now: float) -> float | None:
        """The transport brought a session. When to look for a better one, if there is one."""
        self._proven.add(self.transport)
        return now + self._climb_wait_ms if self.index > 0 else None

    def failed(self, loss: Loss, lasted_ms: float, was_restart: bool) -> None:
        """Goes to the next transport when the loss was this one's fault, and it had its chances."""
        is_fault = not is_servers_word(loss) and not was_restart and lasted_ms < self._options.stable_ms
        self._failures = self._failures + 1 if is_fault else 0
        chances = FAILURES_OF_A_PROVEN_TRANSPORT if self.transport in self._proven else 1
        if loss.get("buffered") or self._failures >= chances:
            self._failures = 0
            self.index = (self.index + 1) % len(self._options.transports)

    def probed(self, transport: str, ok: bool, is_live: bool) -> str | int | None:
        """`"take"` if it is taken, the index of the next one to probe, or `None` if there is none."""
        was_probing, self.is_probing = self.is_probing, False
        names = self._options.transports
        index = names.index(transport) if transport in names else len(names)
        if not was_probing or not is_live or index >= self.index:
            return "ignore"
        if ok:
            self.index, self._failures = index, 0
            return "take"
        return index + 1 if index + 1 < self.index else None

    def climb_later(self, now: float) -> float:
        self._climb_wait_ms = min(self._climb_wait_ms * 2, self._options.climb_longest_ms)
        return now + self._climb_wait_ms
