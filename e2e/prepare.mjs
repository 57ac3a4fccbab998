// Installs what the tests import and what the JavaScript client is built with: npm packages and a Python environment, under
// target/e2e and target/clients-js. Does nothing when they are there and current. Refuses to install programs of the system; `cargo xtask e2e` does that.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { builders, packages, python, repository } from "./places.mjs";

const source = join(repository, "e2e");
const client = join(repository, "clients", "js");
const npm_lists = ["package.json", "package-lock.json"];

function run(folder, program, ...words) {
  console.error(`$ ${[program.split("/").at(-1), ...words].join(" ")}`);
  execFileSync(program, words, { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
}

/** Runs `install` unless it ran to its end before with the same lists. */
function once(name, from, lists, folder, install) {
  const wanted = lists.map((list) => readFileSync(join(from, list), "utf8")).join("\n");
  const stamp = join(folder, `${name}.installed`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(stamp, { force: true });
  install();
  writeFileSync(stamp, wanted);
}

/** Installs the npm packages that the lists of one folder name into another. */
function install_npm(from, into) {
  mkdirSync(into, { recursive: true });
  once("npm", from, npm_lists, into, () => {
    for (const list of npm_lists) cpSync(join(from, list), join(into, list));
    run(into, "npm", "ci", "--no-fund", "--no-audit");
  });
}

install_npm(source, packages);
install_npm(client, builders);

once("python", source, ["requirements.txt"], packages, () => {
  run(packages, "python3", "-m", "venv", "--clear", "venv");
  run(packages, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", join(source, "requirements.txt"));
});
