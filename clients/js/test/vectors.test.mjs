// The cases of clients/vectors against this client's machine, and the parts it is made of.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { source } from "../tool.mjs";

const { Machine } = await source("machine.ts");
const { Backoff, backoff_defaults } = await source("backoff.ts");
const { verdict } = await source("verdict.ts");

const folder = new URL("../../vectors/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
const vectors = files.map((name) => ({ name, ...JSON.parse(readFileSync(new URL(name, folder), "utf8")) }));
const SESSION = { type: "session", session_id: "0".repeat(32), rooms: [], resumed: false, ping_interval_ms: 25_000 };

/** As it would be in JSON, so that what is `undefined` is not there. */
const plain = (value) => JSON.parse(JSON.stringify(value));

/** All that is expected is there, and frames are exactly so. */
function assert_command(found, expected, where) {
  for (const [name, value] of Object.entries(expected)) {
    if (name === "event") {
      for (const [field, wanted] of Object.entries(value)) assert.deepEqual(found.event?.[field], wanted, where);
    } else {
      assert.deepEqual(found[name], value, where);
    }
  }
}

const kinds = {
  machine({ cases }) {
    for (const { name, given, steps } of cases) {
      test(name, () => {
        let random, commands;
        const machine = new Machine(given, () => random, (command) => commands.push(plain(command)));
        for (const step of steps) {
          random = step.random ?? 0.5;
          commands = [];
          machine.handle(step.at_ms, step.event);
          const where = `at ${step.at_ms} ms, ${JSON.stringify(step.event)}: ${JSON.stringify(commands)}`;
          assert.equal(commands.length, step.expect.length, where);
          step.expect.forEach((expected, index) => assert_command(commands[index], expected, where));
          assert.equal(machine.due_ms === Infinity ? null : machine.due_ms, step.due_ms, where);
        }
      });
    }
  },

  backoff({ cases }) {
    for (const { name, given, losses } of cases) {
      test(name, () => {
        const backoff = new Backoff({ ...backoff_defaults, ...given });
        for (const { lasted_ms, hint_ms, random, wait_ms } of losses) assert.equal(backoff.lost(lasted_ms, hint_ms ?? undefined, random), wait_ms);
      });
    }
  },

  frames({ cases }) {
    for (const { name, rooms, steps } of cases) {
      test(name, () => {
        let told = [];
        const machine = new Machine({ rooms }, () => 0.5, (command) => command.do === "tell" && told.push(command.event));
        machine.handle(0, { type: "open" });
        machine.handle(1, { type: "frame", frame: SESSION });
        for (const { frame, join, leave, messages, gaps, positions } of steps) {
          told = [];
          const event = frame ? { type: "frame", frame } : join ? { type: "join", ...join } : { type: "leave", ...leave };
          machine.handle(2, event);
          const of = (type) => told.filter((event) => event.type === type);
          if (messages) assert.deepEqual(of("message").map(({ message }) => message.id), messages);
          if (gaps) assert.deepEqual(of("gap").map(({ room, after, before, reason }) => ({ room, after, before, reason })), gaps);
          assert.deepEqual(machine.positions.known(), positions);
        }
      });
    }
  },

  errors({ losses, hellos, publications }) {
    for (const { name, loss, then } of losses) test(`${name}: ${then}`, () => assert.equal(verdict(loss), then));

    for (const { error, then } of hellos) {
      test(`a hello refused with ${error}: ${then}`, () => {
        const machine = new Machine({}, () => 0.5, () => {});
        machine.handle(0, { type: "open" });
        machine.handle(1, { type: "frame", frame: { type: "error", code: error, message: "" } });
        assert.equal(machine.phase, then === "stop" ? "closed" : "waiting");
      });
    }

    for (const { error, then } of publications) {
      test(`a message refused with ${error}: ${then}`, () => {
        const refused = [];
        const machine = new Machine({}, () => 0.5, ({ event }) => event?.type === "refused" && refused.push(event));
        machine.handle(0, { type: "open" });
        machine.handle(1, { type: "frame", frame: SESSION });
        machine.handle(2, { type: "send", ref: "r", frame: { type: "message", room: "news", text: "hi" } });
        machine.handle(3, { type: "frame", frame: { type: "error", code: error, message: "", ref: "r" } });
        assert.equal(refused.length, then === "refuse" ? 1 : 0);
      });
    }
  },
};

for (const file of vectors) {
  test(file.name, () => assert.ok(file.kind in kinds, `${file.name} is of a kind that this test knows`));
  kinds[file.kind]?.(file);
}
