// curl, as a person types it. Gives what came back, taken apart, or the lines of an answer that does not end.

import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { Arrivals } from "./wait.mjs";

/** `{status, headers, body}` of a request; the body as JSON when it is. */
export async function curl(...words) {
  const { stdout } = await promisify(execFile)("curl", ["--silent", "--show-error", "--include", "--max-time", "40", ...words]);
  const [head, ...rest] = stdout.split("\r\n\r\n");
  const [status_line, ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => /^([^:]+): *(.*)$/.exec(line)).map(([, name, value]) => [name.toLowerCase(), value]));
  const body = rest.join("\r\n\r\n");
  const is_json = headers["content-type"]?.startsWith("application/json");
  return { status: Number(status_line.split(" ")[1]), headers, body: is_json ? JSON.parse(body) : body };
}

/** An event stream as `curl -N` prints it, block by block. It is ended when the test `t` ends. */
export class CurlStream {
  #blocks = new Arrivals();

  constructor(t, ...words) {
    const child = spawn("curl", ["--silent", "--no-buffer", ...words], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => child.kill());
    let block = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line !== "") return block.push(line);
      this.#blocks.push(block.join("\n"));
      block = [];
    });
    this.ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  }

  /** The lines up to the next empty one. */
  block() {
    return this.#blocks.take("a block of the stream");
  }

  /** The next event of this type: `{id, data, lines}`. What came before it is left where it is. */
  async event(type) {
    const fits = (block) => block.split("\n").includes(`event: ${type}`);
    const lines = (await this.#blocks.take(`an event of type ${type}`, fits)).split("\n");
    const fields = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    return { id: fields("id")[0], data: JSON.parse(fields("data").join("\n")), lines };
  }

  /** What was received and not asked for. */
  get rest() {
    return this.#blocks.rest;
  }
}
