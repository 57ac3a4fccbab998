// The WebSocket that Node.js itself has: on by default since 22, behind a flag in 20, absent before.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

import { Server } from "./server.mjs";

const exchange = `
  const socket = new WebSocket(process.argv[1] + "/ws/hall/node");
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "session") socket.send("from Node.js itself");
    if (frame.type === "message") { console.log(frame.text); socket.close(1000); }
  };
  socket.onclose = ({ code, wasClean }) => console.log(code, wasClean);
`;

test("Node.js's own WebSocket exchanges a message and closes cleanly", async (t) => {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20) return t.skip(`Node.js ${process.versions.node} has no WebSocket of its own`);
  const server = await Server.start(t);
  const flags = major < 22 ? ["--experimental-websocket", "--no-warnings"] : [];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "-e", exchange, server.websocket_url], { timeout: 20_000 });
  assert.equal(stdout, "from Node.js itself\n1000 true\n");
});
