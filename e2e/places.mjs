// Where the tests find things: the binary, the installed packages, the folder for what they leave behind. Owns the layout
// under target/e2e; refuses to put anything into the source tree.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("..", import.meta.url));
export const target = resolve(repository, process.env.CARGO_TARGET_DIR ?? "target");
export const packages = join(target, "e2e");
/** The npm packages that the JavaScript client is built with. */
export const builders = join(target, "clients-js");
export const screenshots = join(target, "screenshots");
export const python = join(packages, "venv", "bin", "python");

/** The server under test: `TIDINGS_BIN`, else the debug build. */
export function binary() {
  const path = process.env.TIDINGS_BIN ?? join(target, "debug", "tidings");
  if (!existsSync(path)) throw new Error(`there is no ${path}: build it with \`cargo build -p tidings\`, or set TIDINGS_BIN`);
  return path;
}

/** An npm package that `prepare.mjs` installed. Modules cannot be imported from outside the source tree by name, so required. */
export const load = createRequire(join(packages, "package.json"));
