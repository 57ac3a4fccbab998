"""The real server, from TIDINGS_BIN, on a port it tells. Owns the child process: a test that ends leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import unittest


class Server:
    def __init__(self, test: unittest.TestCase, *flags: str, port: int = 0) -> None:
        words = [os.environ["TIDINGS_BIN"], "serve", "--listen", f"127.0.0.1:{port}", *flags]
        self._child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        test.addCleanup(self.kill)
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith("listening on "):
                self.url = line.removeprefix("listening on ").strip()
                self.port = int(self.url.rsplit(":", 1)[1])
                return
        raise AssertionError("the server ended before it listened")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, word: signal.Signals) -> None:
        if self._child.poll() is None:
            self._child.send_signal(word)
            self._child.wait(40)
        if self._child.stdout:
            self._child.stdout.close()
