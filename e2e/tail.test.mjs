// `tidings tail`: whoever watches a room from a terminal sees each message once, whatever happens to the connection.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cable } from "./cable.mjs";
import { Server } from "./server.mjs";
import { Tail } from "./tail.mjs";
import { soon } from "./wait.mjs";

const GREETING = "is anybody there?";

/** Publishes to the room; gives the line that a tail prints for it. */
async function publish(server, text) {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text, user_id: "ana" }) };
  const answer = await soon(`"${text}" is published`, fetch(`${server.url}/rooms/news/messages`, request));
  const { id } = await answer.json();
  return `${id}\tana\t${text}`;
}

/** A tail of the room through this address that has joined, and has printed all that was said until now. */
async function listen(t, server, url) {
  const tail = new Tail(t, "news", "--url", url);
  const first = tail.line();
  let answered = false;
  const answer = () => (answered = true);
  first.then(answer, answer);
  // It joins at a moment that nobody is told of; the first line shows that it has.
  let last;
  do last = await publish(server, GREETING);
  while (!answered);
  for (let line = await first; line !== last; line = await tail.line()) assert.ok(line.endsWith(GREETING), line);
  return tail;
}

async function prints(tail, ...lines) {
  for (const line of lines) assert.equal(await tail.line(), line);
}

const told_losses = (tail) => tail.said.filter((line) => line.includes("may be lost"));

test("tail prints messages as they come, none from before, and ends when asked", async (t) => {
  const server = await Server.start(t);
  await publish(server, "from before");
  const tail = await listen(t, server, server.url);
  for (const text of ["one", "two", "three"]) await prints(tail, await publish(server, text));
  tail.signal("SIGINT");
  assert.equal(await tail.ended(), 0);
  assert.deepEqual(tail.rest, []);
  assert.deepEqual(tail.said, ["tidings tail: connected"]);
});

test("what is said while the network is down is printed when it is back, in order and once, and nothing is called lost", async (t) => {
  const server = await Server.start(t);
  const cable = await Cable.lay(t, server.port);
  const tail = await listen(t, server, cable.url);
  await prints(tail, await publish(server, "before the break"));
  cable.tear();
  await tail.says("trying again");
  const missed = [await publish(server, "one"), await publish(server, "two"), await publish(server, "three")];
  cable.mend();
  await tail.says("connected again");
  await prints(tail, ...missed);
  await prints(tail, await publish(server, "after the break"));
  assert.deepEqual(told_losses(tail), []);
  assert.deepEqual(tail.rest, []);
});

test("after a crash of the server tail prints what the new one has and names what may be lost", async (t) => {
  const crashed = await Server.start(t);
  const tail = await listen(t, crashed, crashed.url);
  await prints(tail, await publish(crashed, "before the crash"));
  await crashed.kill();
  await tail.says("trying again");
  // Held back, so that it comes only after these were said and has them from the history.
  tail.signal("SIGSTOP");
  const server = await Server.start(t, { port: crashed.port });
  const missed = [await publish(server, "one"), await publish(server, "two")];
  tail.signal("SIGCONT");
  await tail.says("may be lost");
  await prints(tail, ...missed);
  await prints(tail, await publish(server, "three"));
  assert.equal(told_losses(tail).length, 1, tail.said.join("\n"));
  assert.deepEqual(tail.rest, []);
});

test("tail ends in peace when nobody reads what it prints", async (t) => {
  const server = await Server.start(t);
  const tail = await listen(t, server, server.url);
  tail.stop_reading();
  await publish(server, "to nobody");
  assert.equal(await tail.ended(), 0);
});
