// Behind nginx, the proxy most people have in front: the textbook's configuration, and one that keeps connections to the
// server open, so that a WebSocket may begin on a connection that carried plain requests before.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { curl } from "./curl.mjs";
import { start_in_front_of, start_nginx } from "./nginx.mjs";
import { Peer } from "./peer.mjs";
import { load } from "./places.mjs";
import { Server } from "./server.mjs";

const WebSocket = load("ws");

const TEXTBOOK = readFileSync(new URL("textbook/nginx.conf", import.meta.url), "utf8");

async function exchange(t, address, room) {
  const peer = new Peer(t, new WebSocket(`${address.replace("http", "ws")}/ws/${room}/ana`));
  await peer.receives("session");
  peer.send("through the proxy");
  await peer.receives("message", { text: "through the proxy" });
  return peer;
}

test("the textbook's nginx configuration carries WebSockets", async (t) => {
  const servers = [await Server.start(t)];
  // Printed with three servers of example.com and without a port of its own; everything else is as printed.
  const printed = TEXTBOOK.replace(/(\n\s*server ws\d[^;]*;)+/, `\n    server 127.0.0.1:${servers[0].port};`).replace("server {", "server {\n    listen LISTEN;");
  await exchange(t, await start_nginx(t, printed), "textbook");
});

test("a WebSocket may begin on a connection that carried plain requests before", async (t) => {
  const server = await Server.start(t);
  const address = await start_in_front_of(t, server);
  for (let round = 0; round < 3; round++) {
    assert.equal((await curl(`${address}/health`)).status, 200);
    const peer = await exchange(t, address, `round-${round}`);
    peer.socket.close(1000);
    assert.equal((await peer.closed()).code, 1000);
  }
});

test("a server that stops closes WebSockets through nginx with 1012", async (t) => {
  const server = await Server.start(t);
  const address = await start_in_front_of(t, server);
  assert.equal((await curl(`${address}/health`)).status, 200);
  const peer = await exchange(t, address, "dock");
  const stopped = server.stop("SIGTERM");
  await peer.receives("server_restart");
  peer.send({ type: "restart_ack" });
  assert.equal((await peer.closed()).code, 1012);
  assert.equal(await stopped, 0);
});
