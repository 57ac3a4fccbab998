// Starts and stops the real binary. Owns the child process: a test that ends leaves none behind. Refuses to guess its port:
// the line on stdout tells it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { binary } from "./places.mjs";
import { soon } from "./wait.mjs";

const LISTENING = /^listening on http:\/\/(127\.0\.0\.1:(\d+))$/;

export class Server {
  #child;
  #exit;
  #stderr = "";

  /** A server on a free port, or on the given one, told these flags and this settings file. It is killed when the test `t` ends. */
  static async start(t, { port = 0, flags = [], settings } = {}) {
    const server = new Server();
    const config = settings === undefined ? [] : ["--config", file(t, settings)];
    await server.#spawn(["serve", "--listen", `127.0.0.1:${port}`, ...config, ...flags]);
    t.after(() => server.kill());
    return server;
  }

  async #spawn(words) {
    const child = spawn(binary(), words, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#exit = once(child, "exit");
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
    const [, address, port] = await soon(`tidings ${words.join(" ")} says where it listens`, this.#listening());
    Object.assign(this, { url: `http://${address}`, websocket_url: `ws://${address}`, port: Number(port) });
  }

  async #listening() {
    for await (const line of createInterface({ input: this.#child.stdout })) {
      const match = LISTENING.exec(line);
      if (match) return match;
    }
    throw new Error(`the server ended before it listened:\n${this.#stderr}`);
  }

  get stderr() {
    return this.#stderr;
  }

  /** Asks it to stop; gives its exit code once it has. */
  async stop(signal = "SIGTERM") {
    this.#child.kill(signal);
    return this.ended();
  }

  async ended() {
    const [code] = await soon(`the server ends; it said:\n${this.#stderr}`, this.#exit, 40_000);
    return code;
  }

  /** Ends it without letting it say a word, as a crash does. */
  async kill() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop("SIGKILL");
  }
}

/** A settings file with this text. It is gone when the test `t` ends. */
function file(t, text) {
  const folder = mkdtempSync(join(tmpdir(), "tidings-e2e-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "tidings.toml");
  writeFileSync(path, text);
  return path;
}
