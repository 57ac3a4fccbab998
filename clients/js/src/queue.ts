// What was to be said and is not answered yet, in the order it was said: messages, which count once, and questions, which may be
// asked again. Owned by one machine. Refuses to grow beyond its bound.

import type { ClientFrame } from "./frames.js";

export interface Waiting {
  ref: string;
  frame: ClientFrame;
  /** When it was said first in the present session; `null` while it was not. */
  said_at: number | null;
}

export class Queue {
  #entries = new Map<string, Waiting>();

  constructor(private readonly entries_max: number) {}

  /** Says whether there was room for it. */
  add(ref: string, frame: ClientFrame, said_at: number | null): Waiting | null {
    if (this.#entries.size >= this.entries_max) return null;
    const entry = { ref, frame, said_at };
    this.#entries.set(ref, entry);
    return entry;
  }

  /** Forgets what was answered; gives it if it was here. */
  settle(ref: string | undefined): Waiting | undefined {
    const entry = this.#entries.get(ref ?? "");
    if (entry) this.#entries.delete(entry.ref);
    return entry;
  }

  has(ref: string | undefined): boolean {
    return this.#entries.has(ref ?? "");
  }

  /** Nothing that was said waits for its answer. */
  get is_answered(): boolean {
    return this.all().every(({ said_at }) => said_at === null);
  }

  all(): Waiting[] {
    return [...this.#entries.values()];
  }
}
