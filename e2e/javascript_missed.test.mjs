// What the JavaScript client missed while it was cut off, over each transport: messages to its user alone, more than one page of a
// room's history, and more than the room keeps.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cable } from "./cable.mjs";
import { is, open_client, open_room } from "./javascript_client.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const TRANSPORTS = ["websocket", "sse", "poll"];
/** More than the server gives at once. */
const MORE_THAN_A_PAGE = 1_100;
const AT_ONCE = 20;

const lengths = { first_ms: 100, longest_ms: 400, least_ms: 10, stable_ms: 1 };

async function post(server, path, text) {
  const response = await fetch(`${server.url}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) });
  assert.equal(response.status, 200);
}

/** A client that is cut off, and what lets it come back. */
async function cut_off(t, server, transport) {
  const cable = await Cable.lay(t, server.port);
  const client = open_client(t, cable.url, { transports: [transport], user: "ana", lengths });
  const room = open_room(client, "news");
  const own = [];
  client.on("message", (message) => message.room === "@ana" && own.push(message.text));
  await room.send("first");
  await post(server, "/users/ana/messages", "own 0");
  await until("both came", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length === 1 && own.length === 1)));
  cable.tear();
  const again = setInterval(() => cable.tear(), 20);
  await client.states.take("the loss is told", is("waiting")).finally(() => clearInterval(again));
  return { room, own, mend: () => cable.mend() };
}

for (const transport of TRANSPORTS) {
  test(`what was sent to the user alone is there after a cut, once and in order: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const { own, mend } = await cut_off(t, server, transport);
    for (const n of [1, 2, 3]) await post(server, "/users/ana/messages", `own ${n}`);
    mend();
    await until("the missed ones came", () => new Promise((resolve) => setTimeout(resolve, 10, own.length >= 4)));
    await post(server, "/users/ana/messages", "own 4");
    await until("the next one came", () => new Promise((resolve) => setTimeout(resolve, 10, own.length >= 5)));
    assert.deepEqual(own, ["own 0", "own 1", "own 2", "own 3", "own 4"]);
  });

  test(`more than a page that was missed comes without a word of a gap: ${transport}`, async (t) => {
    const server = await Server.start(t, { flags: ["--room-history-messages", "5000"] });
    const { room, mend } = await cut_off(t, server, transport);
    for (let n = 0; n < MORE_THAN_A_PAGE; n += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => post(server, "/rooms/news/messages", `${n + at}`)));
    mend();
    await until("all came", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length > MORE_THAN_A_PAGE)));
    assert.equal(new Set(room.messages.map(({ id }) => id)).size, MORE_THAN_A_PAGE + 1);
    assert.deepEqual(room.gaps, []);
  });

  test(`of what the room does not keep a gap is told: ${transport}`, async (t) => {
    const server = await Server.start(t, { flags: ["--room-history-messages", "10"] });
    const { room, mend } = await cut_off(t, server, transport);
    for (let n = 0; n < 30; n += 1) await post(server, "/rooms/news/messages", `${n}`);
    mend();
    await until("what is kept came", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length >= 11)));
    await until("the gap is told", () => new Promise((resolve) => setTimeout(resolve, 10, room.gaps.length)));
    assert.deepEqual(room.gaps.map(({ after, reason }) => ({ after, reason })), [{ after: room.messages[0].id, reason: "expired" }]);
    assert.deepEqual(room.messages.slice(1).map(({ text }) => text), Array.from({ length: 10 }, (_, n) => `${n + 20}`));
  });
}
