// Debian's nginx as a reverse proxy, with a configuration file of its own. Owns the process and its folder until the test ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { accepts, free_port } from "./ports.mjs";
import { soon } from "./wait.mjs";

const handed_out = (name) => readFileSync(new URL(`../deploy/nginx/${name}`, import.meta.url), "utf8");

/** Starts nginx with the configuration that is handed out, but one connection to the server kept open: the worst case. */
export function start_in_front_of(t, server) {
  const kept_open = handed_out("one-node.conf").replace("127.0.0.1:8080", `127.0.0.1:${server.port}`).replace("keepalive 32", "keepalive 1");
  return start_nginx(t, kept_open.replace("listen 80", "listen LISTEN"));
}

/** Starts nginx with the configuration for three nodes; `taken` are the lines of it that are comments and become true. */
export async function start_in_front_of_nodes(t, nodes, taken = []) {
  let text = handed_out("several-nodes.conf");
  nodes.forEach(({ port }, index) => (text = text.replace(`127.0.0.1:808${index + 1} `, `127.0.0.1:${port} `)));
  for (const line of taken) {
    if (!text.includes(`# ${line}`)) throw new Error(`the configuration has no "# ${line}"`);
    text = text.replace(`# ${line}`, line);
  }
  const grpc = `127.0.0.1:${await free_port()}`;
  const url = await start_nginx(t, text.replace("listen 80;", "listen LISTEN;").replace("listen 50051", `listen ${grpc}`));
  return { url, websocket_url: url.replace("http", "ws"), grpc };
}

/** Starts nginx with this text inside its `http` block; `LISTEN` in it becomes the address it must listen on. */
export async function start_nginx(t, http_block) {
  const folder = mkdtempSync(join(tmpdir(), "tidings-nginx-"));
  const port = await free_port();
  writeFileSync(join(folder, "nginx.conf"), configuration(folder, http_block.replaceAll("LISTEN", `127.0.0.1:${port}`)));
  // Debian keeps nginx where an ordinary user's PATH does not look.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const words = ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")];
  const child = spawn("nginx", words, { stdio: "inherit", env });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true });
  });
  await soon("nginx listens", Promise.race([accepts(port), ended.then(() => Promise.reject(new Error("nginx ended")))]));
  return `http://127.0.0.1:${port}`;
}

function configuration(folder, http_block) {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${http_block}
}
`;
}
