// The programs in examples/, run as their first lines say.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";

import { Cable } from "./cable.mjs";
import { python, repository } from "./places.mjs";
import { Server } from "./server.mjs";
import { Arrivals, soon } from "./wait.mjs";

const example = (name) => join(repository, "examples", name);

/** A running example: `lines` is what it printed, `say` its input. */
function run(t, program, ...words) {
  const env = { ...process.env, PYTHON: python, PYTHONPATH: join(repository, "clients/python/src") };
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], env });
  t.after(() => child.kill());
  const lines = new Arrivals();
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "exit").then(([code]) => code);
  return { lines, say: (text) => child.stdin.end(text), ended: () => soon(`${words[0]} ends`, ended) };
}

const follow = (t, address, room) => {
  const flags = process.versions.node.startsWith("20.") ? ["--experimental-websocket", "--no-warnings"] : [];
  return run(t, process.execPath, ...flags, example("follow.mjs"), address, room);
};

test("follow.mjs prints what say.py says, once each, over a network that tears", async (t) => {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20) return t.skip(`Node.js ${process.versions.node} has no WebSocket of its own`);
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const follower = follow(t, cable.url.replace("http", "ws"), "stage");
  const say = async (text) => {
    const speaker = run(t, python, example("say.py"), server.websocket_url, "stage", "hamlet");
    speaker.say(text);
    assert.equal(await speaker.ended(), 0);
    return speaker.lines.rest.map(Number);
  };

  const first_ids = await say("To be,\nor not to be,\n");
  for (const line of ["hamlet: To be,", "hamlet: or not to be,"]) assert.equal(await follower.lines.take("a line"), line);
  cable.tear();
  const second_ids = await say("that is the question:\n");
  cable.mend();
  assert.equal(await follower.lines.take("the missed line"), "hamlet: that is the question:");
  assert.deepEqual(follower.lines.rest, []);
  const ids = [...first_ids, ...second_ids];
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
  assert.equal(ids.length, 3);
});

test("publish.sh stores its message once and reads it back", async (t) => {
  const server = await Server.start(t);
  const { stdout } = await promisify(execFile)(example("publish.sh"), [server.url, "deploys"], { timeout: 20_000 });
  const [first, second, history] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(first.id, second.id);
  assert.deepEqual(history.messages.map(({ id, data }) => [id, data]), [[first.id, { event: "deployed", version: 42 }]]);
});

test("the notifications of backend.py reach inbox.py: those before it came, live ones, and those that it missed", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const notify = async (text) => {
    const backend = run(t, python, example("notifications/backend.py"), server.url);
    backend.say(text);
    assert.equal(await backend.ended(), 0);
  };
  await notify("ana: Your order was taken\nben: not for ana\n");
  const inbox = run(t, python, example("notifications/inbox.py"), cable.url, "ana");
  assert.equal(await inbox.lines.take("the early one"), "ana: Your order was taken");
  await notify("ana: It is on its way\n");
  assert.equal(await inbox.lines.take("a live one"), "ana: It is on its way");
  cable.tear();
  await notify("ana: Nobody was at home\n");
  cable.mend();
  assert.equal(await inbox.lines.take("the missed one"), "ana: Nobody was at home");
  assert.deepEqual(inbox.lines.rest, []);
});

test("notifications/start.sh shows what its backend was told", async (t) => {
  const server = await Server.start(t);
  const both = run(t, example("notifications/start.sh"), server.url);
  await both.lines.take("the first notification", (line) => line === "ana: Welcome");
  both.say("ana: Your parcel is here\n");
  assert.equal(await both.ended(), 0);
});
