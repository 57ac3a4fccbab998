// Debian's HAProxy with the configuration that is handed out. Owns the process and its folder until the test ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { accepts, free_port } from "./ports.mjs";
import { soon } from "./wait.mjs";

const HANDED_OUT = readFileSync(new URL("../deploy/haproxy/several-nodes.cfg", import.meta.url), "utf8");

/** Starts HAProxy in front of three nodes, which it knows clients by, or not. */
export async function start_in_front_of_nodes(t, nodes, { sticky }) {
  let text = HANDED_OUT;
  nodes.forEach(({ port }, index) => (text = text.replaceAll(`127.0.0.1:808${index + 1} `, `127.0.0.1:${port} `)));
  // As the comment there says.
  if (!sticky) text = text.replace(/^ *cookie .*$/m, "").replace(/^( *server .*) cookie .*$/gm, "$1");
  const [port, grpc_port] = [await free_port(), await free_port()];
  text = text.replace("bind :80\n", `bind 127.0.0.1:${port}\n`).replace("bind :50051\n", `bind 127.0.0.1:${grpc_port}\n`);
  const folder = mkdtempSync(join(tmpdir(), "tidings-haproxy-"));
  writeFileSync(join(folder, "haproxy.cfg"), text);
  // Debian keeps it where an ordinary user's PATH does not look.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn("haproxy", ["-q", "-db", "-f", join(folder, "haproxy.cfg")], { stdio: ["ignore", "ignore", "inherit"], env });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true });
  });
  await soon("HAProxy listens", Promise.race([accepts(port), ended.then(() => Promise.reject(new Error("HAProxy ended")))]));
  return { url: `http://127.0.0.1:${port}`, websocket_url: `ws://127.0.0.1:${port}`, grpc: `127.0.0.1:${grpc_port}` };
}
