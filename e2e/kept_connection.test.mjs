// A stream or a poll on a connection that was kept open after a plain request, as browsers and proxies do. Its client may go
// away without a word, and then it must not be kept for somebody who is there.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";

import { curl } from "./curl.mjs";
import { Server } from "./server.mjs";
import { publish } from "./publish.mjs";
import { soon, until } from "./wait.mjs";

const user_ids = async (server, room) => (await curl(`${server.url}/rooms/${room}/presence`)).body.users.map(({ user_id }) => user_id);

/** A connection that asked for these addresses one after the other, the last of which is being served. */
async function ask(t, server, ...paths) {
  const socket = connect(server.port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  for (const path of paths.slice(0, -1)) {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await soon(`${path} is answered`, once(socket, "data"));
  }
  socket.write(`GET ${paths.at(-1)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return socket;
}

const manners = {
  "from its first request": { before: [] },
  "after a plain request": { before: ["/health"] },
};

for (const [manner, { before, ...options }] of Object.entries(manners)) {
  test(`a listener who left a connection that streams ${manner} is not seen as present`, options, async (t) => {
    const server = await Server.start(t, { flags: ["--presence-grace-ms", "0"] });
    const socket = await ask(t, server, ...before, "/events?room=yard&user_id=ana");
    await until("ana is there", () => user_ids(server, "yard"), (ids) => ids.includes("ana"));
    socket.destroy();
    await until("ana is gone", () => user_ids(server, "yard"), (ids) => !ids.includes("ana"), 5_000);
  });

  test(`who left a connection that polls ${manner} finds the message that came meanwhile`, options, async (t) => {
    const server = await Server.start(t, { flags: ["--presence-grace-ms", "0"] });
    const poll = "/poll/phone?room=yard&user_id=ana";
    const socket = await ask(t, server, ...before, poll);
    await until("ana is there", () => user_ids(server, "yard"), (ids) => ids.includes("ana"));
    socket.destroy();
    await once(socket, "close");
    const id = await publish(server, "yard", "while ana was away");
    const { body } = await curl(`${server.url}${poll}&timeout_s=0&batch=10`);
    assert.deepEqual(body.data.filter(({ type }) => type === "message").map((message) => message.id), [id]);
  });
}
