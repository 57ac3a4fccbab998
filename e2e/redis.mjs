// A Redis server of its own, which keeps nothing on disk. Owns the process until the test ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { free_port } from "./ports.mjs";
import { soon } from "./wait.mjs";

/** Starts it; gives its address. */
export async function start_redis(t) {
  const folder = mkdtempSync(join(tmpdir(), "tidings-redis-"));
  const port = await free_port();
  const words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const child = spawn("redis-server", words, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true });
  });
  await soon("Redis takes connections", takes_connections(child));
  return `redis://127.0.0.1:${port}`;
}

async function takes_connections(child) {
  for await (const line of createInterface({ input: child.stdout })) if (line.includes("Ready to accept connections")) return;
  throw new Error("Redis ended");
}
