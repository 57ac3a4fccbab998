// docs/quickstart.md: every command in it is run, and must print what stands below it. Ids differ from run to run: those of
// the page stand for those of the run, one for one, in what is printed and in the commands that follow.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { binary, repository } from "./places.mjs";
import { Server } from "./server.mjs";

const SHELL_BLOCK = /^```sh\n(.*?)^```$/gms;
// Of a message, or of a session.
const ID = /\b(?:\d{16}|[0-9a-f]{32})\b/g;

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
  const ids = new Map();
  for (const { command, printed } of steps) {
    const translated = command.replace(ID, (id) => ids.get(id) ?? id);
    const { stdout } = await promisify(execFile)("sh", ["-c", translated], { env, timeout: 20_000 });
    const told = stdout.match(ID) ?? [];
    for (const [index, id] of (printed.match(ID) ?? []).entries()) if (!ids.has(id)) ids.set(id, told[index]);
    assert.equal(stdout.trimEnd(), printed.replace(ID, (id) => ids.get(id)), command);
  }
});
