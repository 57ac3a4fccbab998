// What may lie between the JavaScript client and its session: another connection that has it, and a proxy that lets a stream begin and
// then holds it back.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { test } from "node:test";

import { Cable } from "./cable.mjs";
import { is, open_client, open_room } from "./javascript_client.mjs";
import { Server } from "./server.mjs";
import { until } from "./wait.mjs";

const lengths = { first_ms: 100, longest_ms: 400, least_ms: 10, stable_ms: 1 };
const FAR_AHEAD_MS = 1_000_000;

/** An event stream that takes a session as a much later attempt, and keeps it until the test ends. */
async function take_over(t, server, session_id) {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const query = new URLSearchParams({ room: "news", user_id: "ana", session_id, attempt: Date.now() + FAR_AHEAD_MS });
  const response = await fetch(`${server.url}/events?${query}`, { signal: abort.signal });
  assert.equal(response.status, 200);
  const reader = response.body.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  assert.match(first, /retry/);
}

async function open_session(t, url, transport) {
  const client = open_client(t, url, { transports: [transport], user: "ana", lengths });
  const session = new Promise((resolve) => client.on("session", resolve));
  const room = client.room("news");
  await room.send("first");
  return { client, room, session_id: (await session).session_id };
}

for (const transport of ["websocket", "sse"]) {
  test(`whose session a newer connection took stays away, and says why: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const { client, room, session_id } = await open_session(t, server.url, transport);
    await take_over(t, server, session_id);
    const { code } = await client.states.take("it is closed", is("closed"));
    assert.equal(code, 4000);
    await assert.rejects(room.send("too late"), { code: "closed" });
  });

  test(`an attempt that is older than one the session has seen is refused for good: ${transport}`, async (t) => {
    const server = await Server.start(t);
    const cable = await Cable.lay(t, server.port);
    const { client, session_id } = await open_session(t, cable.url, transport);
    cable.tear();
    const again = setInterval(() => cable.tear(), 20);
    await client.states.take("the loss is told", is("waiting")).finally(() => clearInterval(again));
    await take_over(t, server, session_id);
    cable.mend();
    const { code } = await client.states.take("it is closed", is("closed"));
    assert.ok(code === "superseded" || code === 4000, `closed with ${code}`);
  });
}

/** A proxy that passes an event stream on up to its session, and what follows never; all else at once. */
async function start_holder(t, port) {
  const holder = createServer((near, answer) => {
    const far = request({ port, host: "127.0.0.1", path: near.url, method: near.method, headers: near.headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      if (!near.url.startsWith("/events")) return response.pipe(answer);
      let has_begun = false;
      response.on("data", (bytes) => {
        if (!has_begun) answer.write(bytes);
        has_begun ||= String(bytes).includes("event: session");
      });
    });
    far.on("error", () => answer.destroy());
    near.on("close", () => near.complete || far.destroy());
    answer.on("close", () => far.destroy());
    near.pipe(far);
  });
  holder.listen(0, "127.0.0.1");
  await once(holder, "listening");
  t.after(() => {
    holder.closeAllConnections();
    holder.close();
  });
  return `http://127.0.0.1:${holder.address().port}`;
}

test("a stream that is held back only after its session is noticed by a message of one's own, and left", async (t) => {
  const server = await Server.start(t);
  const url = await start_holder(t, server.port);
  const client = open_client(t, url, { transports: ["sse", "poll"], user: "ana", lengths });
  const room = open_room(client, "news");
  await client.states.take("it lives on the stream", is("live", "sse"));
  const id = await room.send("does it come back?");
  const { reason } = await client.states.take("it is given up", is("waiting"));
  assert.equal(reason, "Something on the way holds the event stream back.");
  await client.states.take("it lives on long polls", is("live", "poll"));
  await until("the message comes", () => new Promise((resolve) => setTimeout(resolve, 10, room.messages.length)));
  assert.deepEqual(room.messages.map((message) => message.id), [id]);
  assert.deepEqual(room.gaps, []);
});
