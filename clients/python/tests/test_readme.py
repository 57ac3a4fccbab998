"""The programs of README.md, run as they are printed, but for the port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

from server import Server

PROGRAMS = re.findall(r"^```python\n(.*?)^```$", (Path(__file__).parents[1] / "README.md").read_text(), re.MULTILINE | re.DOTALL)


class Readme(unittest.TestCase):
    def start(self, program: str, server: Server) -> subprocess.Popen[str]:
        text = program.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        child = subprocess.Popen([sys.executable, "-u", "-c", text], stdout=subprocess.PIPE, text=True, env=os.environ)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child: subprocess.Popen[str]) -> None:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()

    def test_the_first_program_prints_what_it_said(self) -> None:
        child = self.start(PROGRAMS[0], Server(self))
        assert child.stdout
        self.assertRegex(child.stdout.readline(), r"^stored as \d{16}$")
        self.assertEqual(child.stdout.readline(), "ana hi\n")

    def test_the_publisher_prints_three_ids(self) -> None:
        out, _ = self.start(PROGRAMS[1], Server(self)).communicate(timeout=30)
        self.assertRegex(out, r"^(\d{16}\n){3}$")


if __name__ == "__main__":
    unittest.main()
