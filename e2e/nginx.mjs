// Debian's nginx as a reverse proxy, with a configuration file of its own. Owns the process and its folder until the test ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { soon } from "./wait.mjs";

const HANDED_OUT = readFileSync(new URL("../deploy/nginx.conf", import.meta.url), "utf8");

/** Starts nginx with the configuration that is handed out, but one connection to the server kept open: the worst case. */
export function start_in_front_of(t, server) {
  const kept_open = HANDED_OUT.replace("127.0.0.1:8080", `127.0.0.1:${server.port}`).replace("keepalive 32", "keepalive 1");
  return start_nginx(t, kept_open.replace("listen 80", "listen LISTEN"));
}

/** A port of 127.0.0.1 that was free a moment ago: nginx cannot pick one and tell. */
async function free_port() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
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

async function accepts(port) {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const accepted = await new Promise((resolve) => socket.once("connect", () => resolve(true)).once("error", () => resolve(false)));
    socket.destroy();
    if (accepted) return;
  }
}
