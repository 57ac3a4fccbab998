// Where the build and the tests find esbuild and the TypeScript compiler: in this folder after `npm ci`, else where
// `cargo xtask e2e` installed them under target/. Refuses to install anything.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const here = fileURLToPath(new URL(".", import.meta.url));
const target = resolve(here, "../..", process.env.CARGO_TARGET_DIR ?? "target");
const local = existsSync(join(here, "node_modules", "esbuild"));

/** The folder with `node_modules`. */
export const installed = local ? here : join(target, "clients-js");

export const load = createRequire(join(installed, "package.json"));

/** A module of `src/`, bundled and imported as it is: for tests of what the package does not export. */
export async function source(name) {
  const { build } = load("esbuild");
  const { outputFiles } = await build({ entryPoints: [join(here, "src", name)], bundle: true, write: false, format: "esm", target: "es2022", platform: "neutral" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
