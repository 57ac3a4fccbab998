// The Python package `websockets`, by a script that asserts for itself.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { python, repository } from "./places.mjs";
import { Server } from "./server.mjs";

test("Python's websockets exchanges, resumes, pings and closes", async (t) => {
  const server = await Server.start(t);
  const script = join(repository, "e2e/python/exchange.py");
  const { stdout } = await promisify(execFile)(python, [script, server.websocket_url], { timeout: 60_000 });
  assert.equal(stdout.trim().split("\n").length, 3, stdout);
});
