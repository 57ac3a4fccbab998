// One process with the clients of one kind over one transport. Owns the process. What the clients see comes as lines of JSON and is
// written into a book per seat; refuses to judge it.
//
// A contestant program gets one argument, `{"transport", "say_ms", "seats": [{"url", "room", "name"}]}`, and prints lists:
// `[seat, "got", id]`, `[seat, "gap", after, before]`, `[seat, "said", text]`, `[seat, "acknowledged", text, id]`,
// `[seat, "refused", text, code]`. On the line `hush` it says nothing new any more; it ends with its input.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { python, repository } from "../../e2e/places.mjs";

/** What one client saw, in order, and when. */
export class Book {
  /** `{id, at_ms}` */
  got = [];
  /** `{after, before}` */
  gaps = [];
  /** By text: `{acknowledged: [id], refused: [code]}`. */
  said = new Map();

  write(kind, first, second) {
    const { said } = this;
    switch (kind) {
      case "got": return this.got.push({ id: first, at_ms: performance.now() });
      case "gap": return this.gaps.push({ after: first, before: second });
      case "said": return said.set(first, { acknowledged: [], refused: [] });
      case "acknowledged": return said.get(first).acknowledged.push(second);
      case "refused": return said.get(first).refused.push(second);
      default: throw new Error(`a contestant said ${kind}`);
    }
  }

  get is_answered() {
    return [...this.said.values()].every(({ acknowledged, refused }) => acknowledged.length + refused.length > 0);
  }
}

const here = fileURLToPath(new URL("contestants/", import.meta.url));

/** Who can be asked to run: the program, the transports it has, and what one has to know of it. */
export const KINDS = {
  javascript: { words: [process.execPath, `${here}javascript.mjs`], transports: ["websocket", "sse", "poll"], is_ours: true },
  python: { words: [python, `${here}python.py`], transports: ["websocket", "sse", "poll"], is_ours: true },
  textbook: { words: [process.execPath, `${here}textbook.mjs`], transports: ["websocket", "sse", "poll"] },
  // The textbook's `EventSource` as it is printed: its handler closes it at the first error, and it never comes back.
  "textbook as printed": { words: [process.execPath, `${here}textbook.mjs`, "--closes"], transports: ["sse"], gives_up: true },
};

export class Contestant {
  #child;
  #failed;

  constructor(t, kind, transport, seats, say_ms) {
    Object.assign(this, { kind, transport, seats, books: seats.map(() => new Book()), ...KINDS[kind] });
    const [program, ...words] = this.words;
    const env = { ...process.env, PYTHONPATH: `${repository}/clients/python/src`, PYTHONDONTWRITEBYTECODE: "1" };
    this.#child = spawn(program, [...words, JSON.stringify({ transport, say_ms, seats })], { env, stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(this.#child, "exit").then(([code]) => (this.#failed ??= new Error(`${kind} over ${transport} ended with ${code}`)));
    this.#child.stdin.on("error", () => {});
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#hear(line));
    t.after(async () => {
      this.#child.kill("SIGKILL");
      await ended;
    });
  }

  #hear(line) {
    try {
      const [seat, ...entry] = JSON.parse(line);
      this.books[seat].write(...entry);
    } catch (error) {
      this.#failed ??= new Error(`${this.kind} said ${line}: ${error.message}`);
    }
  }

  /** Fails if the program did. */
  check() {
    if (this.#failed) throw this.#failed;
  }

  hush() {
    this.#child.stdin.write("hush\n");
  }
}
