// Installs what the tests import: npm packages and a Python environment, both under target/e2e. Does nothing when they are
// there and current. Refuses to install programs of the system; `cargo xtask e2e` does that.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { packages, python, repository } from "./places.mjs";

const source = join(repository, "e2e");
const npm_lists = ["package.json", "package-lock.json"];

function run(program, ...words) {
  console.error(`$ ${[program.split("/").at(-1), ...words].join(" ")}`);
  execFileSync(program, words, { cwd: packages, stdio: ["ignore", "inherit", "inherit"] });
}

/** Runs `install` unless it ran to its end before with the same lists. */
function once(name, lists, install) {
  const wanted = lists.map((list) => readFileSync(join(source, list), "utf8")).join("\n");
  const stamp = join(packages, `${name}.installed`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(stamp, { force: true });
  install();
  writeFileSync(stamp, wanted);
}

mkdirSync(packages, { recursive: true });

once("npm", npm_lists, () => {
  for (const list of npm_lists) cpSync(join(source, list), join(packages, list));
  run("npm", "ci", "--no-fund", "--no-audit");
});

once("python", ["requirements.txt"], () => {
  run("python3", "-m", "venv", "--clear", "venv");
  run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", join(source, "requirements.txt"));
});
