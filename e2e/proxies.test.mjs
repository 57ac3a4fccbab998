// Three nodes around one Redis behind a proxy, with each configuration that is handed out: every transport goes on wherever
// the proxy leads it, and when a node dies.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";

import * as haproxy from "./haproxy.mjs";
import * as nginx from "./nginx.mjs";
import { start_nodes } from "./nodes.mjs";
import { python, repository } from "./places.mjs";
import { OverEventStream, OverLongPolls, OverWebSocket, Speaker } from "./steadfast.mjs";
import { wander, Wanderer } from "./wanderer.mjs";

const COOKIE_LINES = ["hash $tidings_client consistent;", 'add_header Set-Cookie "tidings_client=$tidings_client; Path=/; HttpOnly; SameSite=Lax" always;'];

/** `sticky`: a client stays with a node, by whatever the proxy knows of it. */
const PROXIES = [
  { name: "nginx, turn by turn", sticky: false, start: (t, nodes) => nginx.start_in_front_of_nodes(t, nodes) },
  { name: "nginx, by address", sticky: true, start: (t, nodes) => nginx.start_in_front_of_nodes(t, nodes, ["ip_hash;"]) },
  { name: "nginx, by cookie", sticky: true, start: (t, nodes) => nginx.start_in_front_of_nodes(t, nodes, COOKIE_LINES) },
  { name: "nginx, by user", sticky: true, start: (t, nodes) => nginx.start_in_front_of_nodes(t, nodes, ["hash $tidings_user consistent;"]) },
  { name: "HAProxy, by cookie", sticky: true, start: (t, nodes) => haproxy.start_in_front_of_nodes(t, nodes, { sticky: true }) },
  { name: "HAProxy, without", sticky: false, start: (t, nodes) => haproxy.start_in_front_of_nodes(t, nodes, { sticky: false }) },
];

// The log must reach over the whole way, whatever the publisher's speed.
const FLAGS = ["--room-history-messages", "100000", "--feed-retry-ms", "100"];

/** What a browser would send along: the cookies that the proxy gave. */
async function cookies_of(proxy) {
  const response = await fetch(`${proxy.url}/health`);
  assert.equal(response.status, 200);
  const given = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]);
  return given.length ? { cookie: given.join("; ") } : {};
}

for (const { name, sticky, start } of PROXIES) {
  describe(name, () => {
    test("a client goes on with its session from transport to transport, on whichever node", async (t) => {
      const nodes = await start_nodes(t, 3, FLAGS);
      const proxy = await start(t, nodes);
      const wanderer = new Wanderer(proxy, await cookies_of(proxy));
      await wander(proxy, wanderer, 2);
      if (sticky) assert.equal(wanderer.nodes.size, 1, `it stayed with one node: ${[...wanderer.nodes]}`);
      else assert.ok(wanderer.nodes.size > 1, `it was at several nodes: ${[...wanderer.nodes]}`);
    });

    test("when a node dies its clients go on with another one, and nothing is lost or told twice", async (t) => {
      const nodes = await start_nodes(t, 3, FLAGS);
      const proxy = await start(t, nodes);
      const cookies = await cookies_of(proxy);
      const readers = [OverWebSocket, OverEventStream, OverLongPolls].map((Client) => new Client(t, proxy, "yard", cookies));
      readers.forEach((reader) => reader.start());
      await Promise.all(readers.map((reader) => reader.is_served()));
      const [over_websocket, over_event_stream] = readers;
      const speaker = new Speaker(proxy, "yard", over_event_stream, cookies);
      await Promise.all(readers.map((reader) => reader.has(20)));
      const lost = over_websocket.nodes.at(-1);
      await nodes.find(({ name }) => name === lost).kill();
      const enough = over_event_stream.messages.length + 60;
      await Promise.all(readers.map((reader) => reader.has(enough)));
      await speaker.stop();
      await Promise.all(readers.map((reader) => reader.has(speaker.ids.length)));
      for (const reader of readers) {
        assert.deepEqual(reader.messages.map(({ id }) => id), speaker.ids, reader.constructor.name);
        assert.notEqual(reader.nodes.at(-1), lost);
      }
      assert.ok(over_websocket.nodes.length > 1, "the WebSocket's node was the one that died");
    });

    test("gRPC goes through it", async (t) => {
      const nodes = await start_nodes(t, 3, FLAGS);
      const proxy = await start(t, nodes);
      const { stdout } = await promisify(execFile)(python, [join(repository, "e2e/python/grpc_exchange.py"), proxy.grpc], { timeout: 60_000 });
      assert.equal(stdout.trim().split("\n").length, 5, stdout);
    });
  });
}
