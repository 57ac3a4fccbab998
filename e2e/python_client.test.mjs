// The tests of clients/python: its machine by the vectors, and what it is made of against the real server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { binary, packages, python, repository } from "./places.mjs";

const run = promisify(execFile);
const cwd = join(repository, "clients/python");

test("the types of clients/python hold", async () => {
  const { stdout } = await run(python, ["-m", "mypy", "--cache-dir", join(packages, "mypy")], { cwd, timeout: 120_000 });
  assert.match(stdout, /^Success: no issues found in \d+ source files$/m);
});

test("the tests of clients/python pass", async () => {
  const env = { ...process.env, PYTHONPATH: "src", PYTHONDONTWRITEBYTECODE: "1", TIDINGS_BIN: binary() };
  const { stdout, stderr } = await run(python, ["-m", "unittest", "discover", "-s", "tests"], { cwd, env, timeout: 240_000 });
  const [, ran] = /Ran (\d+) tests/.exec(stderr) ?? [];
  assert.ok(Number(ran) > 0 && /^OK$/m.test(stderr), stderr);
  console.log(stdout);
});
