// Python's clients, by scripts that assert for themselves.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { python, repository } from "./places.mjs";
import { Server } from "./server.mjs";

/** Runs a script; gives the names of the acts that it went through. */
async function run(name, address) {
  const { stdout } = await promisify(execFile)(python, [join(repository, "e2e/python", name), address], { timeout: 60_000 });
  return stdout.trim().split("\n");
}

test("Python's websockets exchanges, resumes, takes over, types, pings and closes", async (t) => {
  const server = await Server.start(t);
  const ran = await run("exchange.py", server.websocket_url);
  assert.equal(ran.length, 5, ran.join());
});

test("Python's httpx and sseclient stream, poll and speak over both versions of HTTP", async (t) => {
  const server = await Server.start(t);
  const ran = await run("http_exchange.py", server.url);
  assert.equal(ran.length, 3, ran.join());
});

test("Python's grpcio learns the service by reflection, subscribes, speaks and comes back", async (t) => {
  const server = await Server.start(t);
  const ran = await run("grpc_exchange.py", `127.0.0.1:${server.port}`);
  assert.equal(ran.length, 5, ran.join());
});
