"""The cases of clients/vectors against this client's machine, and the parts it is made of."""

from __future__ import annotations

import json
import math
import unittest
from pathlib import Path
from typing import Any

from tidings.backoff import Backoff
from tidings.machine import Command, Machine
from tidings.options import Options
from tidings.verdict import verdict

FOLDER = Path(__file__).parents[2] / "vectors"
SESSION = {"type": "session", "session_id": "0" * 32, "rooms": [], "resumed": False, "ping_interval_ms": 25_000}


def vectors(kind: str) -> list[dict[str, Any]]:
    files = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    return [file for file in files if file["kind"] == kind]


def cases(kind: str) -> list[dict[str, Any]]:
    return [case for file in vectors(kind) for case in file["cases"]]


def options(given: dict[str, Any] | None) -> Options:
    given = dict(given or {})
    if "transports" in given:
        given["transports"] = tuple(given["transports"])
    return Options(**given)


class Case:
    """A machine, what it tells and what it commands."""

    def __init__(self, given: dict[str, Any] | None = None) -> None:
        self.random = 0.5
        self.commands: list[Command] = []
        self.machine = Machine(options(given), lambda: self.random, self.commands.append)

    def handle(self, at_ms: float, event: dict[str, Any]) -> list[Command]:
        self.commands.clear()
        self.machine.handle(at_ms, event)
        return json.loads(json.dumps(self.commands))  # type: ignore[no-any-return]

    def told(self, commands: list[Command], kind: str) -> list[dict[str, Any]]:
        return [command["event"] for command in commands if command["do"] == "tell" and command["event"]["type"] == kind]


class Vectors(unittest.TestCase):
    def assert_command(self, found: Command, expected: Command, where: str) -> None:
        """All that is expected is there, and frames are exactly so."""
        for name, value in expected.items():
            if name == "event":
                for field, wanted in value.items():
                    self.assertEqual(found["event"].get(field), wanted, where)
            else:
                self.assertEqual(found.get(name), value, where)

    def test_all_files_are_of_a_kind_that_is_known(self) -> None:
        kinds = {json.loads(path.read_text())["kind"] for path in FOLDER.glob("*.json")}
        self.assertEqual(kinds, {"machine", "backoff", "frames", "errors"})

    def test_machine(self) -> None:
        for vector in cases("machine"):
            with self.subTest(vector["name"]):
                case = Case(vector.get("given"))
                for step in vector["steps"]:
                    case.random = step.get("random", 0.5)
                    commands = case.handle(step["at_ms"], step["event"])
                    where = f"at {step['at_ms']} ms, {step['event']}: {commands}"
                    self.assertEqual(len(commands), len(step["expect"]), where)
                    for found, expected in zip(commands, step["expect"]):
                        self.assert_command(found, expected, where)
                    due_ms = case.machine.due_ms
                    self.assertEqual(None if due_ms == math.inf else due_ms, step["due_ms"], where)

    def test_backoff(self) -> None:
        for vector in cases("backoff"):
            with self.subTest(vector["name"]):
                backoff = Backoff(options(vector.get("given")))
                for loss in vector["losses"]:
                    self.assertEqual(backoff.lost(loss["lasted_ms"], loss.get("hint_ms"), loss["random"]), loss["wait_ms"])

    def test_frames(self) -> None:
        for vector in cases("frames"):
            with self.subTest(vector["name"]):
                case = Case({"rooms": vector["rooms"]})
                case.handle(0, {"type": "open"})
                case.handle(1, {"type": "frame", "frame": SESSION})
                for step in vector["steps"]:
                    kind = next(name for name in ("frame", "join", "leave") if name in step)
                    event = {"type": "frame", "frame": step["frame"]} if kind == "frame" else {"type": kind, **step[kind]}
                    commands = case.handle(2, event)
                    if "messages" in step:
                        self.assertEqual([told["message"]["id"] for told in case.told(commands, "message")], step["messages"])
                    if "gaps" in step:
                        self.assertEqual([{name: value for name, value in told.items() if name != "type"} for told in case.told(commands, "gap")], step["gaps"])
                    self.assertEqual(case.machine.positions.known(), step["positions"])

    def test_losses(self) -> None:
        for file in vectors("errors"):
            for entry in file["losses"]:
                with self.subTest(entry["name"]):
                    self.assertEqual(verdict(entry["loss"]), entry["then"])

    def test_refused_hellos(self) -> None:
        for file in vectors("errors"):
            for entry in file["hellos"]:
                with self.subTest(entry["error"]):
                    case = Case()
                    case.handle(0, {"type": "open"})
                    case.handle(1, {"type": "frame", "frame": {"type": "error", "code": entry["error"], "message": ""}})
                    self.assertEqual(case.machine.phase, "closed" if entry["then"] == "stop" else "waiting")

    def test_refused_messages(self) -> None:
        for file in vectors("errors"):
            for entry in file["publications"]:
                with self.subTest(entry["error"]):
                    case = Case()
                    case.handle(0, {"type": "open"})
                    case.handle(1, {"type": "frame", "frame": SESSION})
                    case.handle(2, {"type": "send", "ref": "r", "frame": {"type": "message", "room": "news", "text": "hi"}})
                    commands = case.handle(3, {"type": "frame", "frame": {"type": "error", "code": entry["error"], "message": "", "ref": "r"}})
                    self.assertEqual(len(case.told(commands, "refused")), 1 if entry["then"] == "refuse" else 0)


if __name__ == "__main__":
    unittest.main()
