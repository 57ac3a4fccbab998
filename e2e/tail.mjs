// `tidings tail` as a child process, its lines read by condition. Owns the child until the test ends. Refuses to know what
// a line means.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { binary } from "./places.mjs";
import { Arrivals, soon } from "./wait.mjs";

export class Tail {
  #child;
  #end;
  #lines = new Arrivals();
  #talk = new Arrivals();
  /** Everything it said on stderr. */
  said = [];

  constructor(t, ...words) {
    this.#child = spawn(binary(), ["tail", ...words], { stdio: ["ignore", "pipe", "pipe"] });
    this.#end = once(this.#child, "close");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#lines.push(line));
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      this.said.push(line);
      this.#talk.push(line);
    });
    t.after(() => this.#child.kill("SIGKILL"));
  }

  /** The next line on stdout. */
  line() {
    return this.#lines.take("tail prints a line");
  }

  /** Waits until it says this on stderr. */
  says(text) {
    return this.#talk.take(`tail says ${text}`, (line) => line.includes(text));
  }

  /** What it printed and nobody asked for. */
  get rest() {
    return this.#lines.rest;
  }

  /** Nobody reads its messages any more. */
  stop_reading() {
    this.#child.stdout.destroy();
  }

  signal(name) {
    this.#child.kill(name);
  }

  async ended() {
    const [code] = await soon("tail ends", this.#end);
    return code;
  }
}
