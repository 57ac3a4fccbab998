// Builds the package: two bundles without a dependency, and their types. Fails when a bundle grew beyond its bound. With `--check`
// it also compares the committed copy that the page uses (web/tidings.js) with what was built; with `--page` it replaces that.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { here, installed, load } from "./tool.mjs";

const BUNDLES = [
  { entry: "websocket_only.ts", file: "websocket.js", gzipped_bytes_max: 10 * 1_024 },
  { entry: "index.ts", file: "tidings.js", gzipped_bytes_max: 15 * 1_024 },
];
const page_copy = join(here, "../../web/tidings.js");
const BANNER = "// A client for Tidings. Built from clients/js; change it there. MIT OR Apache-2.0.";

const { build } = load("esbuild");
for (const { entry, file, gzipped_bytes_max } of BUNDLES) {
  const outfile = join(here, "dist", file);
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", platform: "neutral", legalComments: "none", charset: "utf8" };
  await build({ ...options, entryPoints: [join(here, "src", entry)], outfile, banner: { js: BANNER } });
  const bytes = gzipSync(readFileSync(outfile), { level: 9 }).length;
  console.log(`${file.padEnd(14)} ${bytes.toLocaleString("en")} bytes gzipped, of ${gzipped_bytes_max.toLocaleString("en")}`);
  if (bytes > gzipped_bytes_max) throw new Error(`${file} is larger than it may be`);
}

execFileSync(process.execPath, [join(installed, "node_modules/typescript/bin/tsc"), "-p", here], { stdio: "inherit" });

const built = readFileSync(join(here, "dist", "tidings.js"), "utf8");
if (process.argv.includes("--page")) writeFileSync(page_copy, built);
if (process.argv.includes("--check") && readFileSync(page_copy, "utf8") !== built) {
  throw new Error("web/tidings.js is not what clients/js builds: run `node clients/js/build.mjs --page`");
}
