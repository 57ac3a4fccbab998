// docs/quickstart.md: every command in it is run, and must print what stands below it. Ids are compared by where they stand.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { binary, repository } from "./places.mjs";
import { Server } from "./server.mjs";

const SHELL_BLOCK = /^```sh\n(.*?)^```$/gms;
const ID = /\b\d{16}\b/g;

/** `{command, printed}` of every line that begins with `$ `. */
function commands(page) {
  const blocks = [...page.matchAll(SHELL_BLOCK)].map(([, block]) => block).join("");
  return blocks.split(/^\$ /m).slice(1).map((text) => {
    const [command, ...printed] = text.trimEnd().split("\n");
    return { command, printed: printed.join("\n") };
  });
}

test("the quickstart prints what it says", async (t) => {
  const server = await Server.start(t);
  const page = readFileSync(join(repository, "docs/quickstart.md"), "utf8").replaceAll("127.0.0.1:8080", `127.0.0.1:${server.port}`);
  const PATH = `${dirname(binary())}:${process.env.PATH}`;
  const env = { ...process.env, PATH, TIDINGS_URL: server.url };
  const steps = commands(page);
  assert.ok(steps.length >= 4, "the commands were found");
  for (const { command, printed } of steps) {
    const { stdout } = await promisify(execFile)("sh", ["-c", command], { env, timeout: 20_000 });
    assert.equal(stdout.trimEnd().replace(ID, "ID"), printed.replace(ID, "ID"), command);
  }
});
