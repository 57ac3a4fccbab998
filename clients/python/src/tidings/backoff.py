"""How long to wait before the next attempt: full jitter below a ceiling that doubles from 1 s to 30 s.

Pure: time and chance are handed in. Refuses to forget its failures because a connection was made; only one that lasted proves anything.
"""

from __future__ import annotations

from .options import Options


class Backoff:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._losses = 0

    def lost(self, lasted_ms: float, hint_ms: float | None, random: float) -> int:
        """The pause after a loss, in milliseconds.

        `lasted_ms` is how long the connection had its session, 0 for an attempt that failed; `hint_ms` is the least that the
        server asked for, and `random` lies between 0 and 1.
        """
        options = self._options
        if lasted_ms >= options.stable_ms:
            self._losses = 0
        ceiling_ms = min(options.longest_ms, options.first_ms * 2 ** min(self._losses, 30))
        self._losses += 1
        if hint_ms is None:
            return max(options.least_ms, int(random * ceiling_ms))
        asked_ms = min(int(hint_ms), options.hint_max_ms)
        return max(options.least_ms, asked_ms + int(random * max(asked_ms, ceiling_ms)))
