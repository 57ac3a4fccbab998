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

  constructor(
    private readonly entries_max: number,
    /** Within this time a message may be said again under its `ref`. */
    private readonly repeat_ms: number,
  ) {}

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

  /** Whether it may have been stored, and could be stored twice if it were said again. */
  is_unsure({ frame, said_at }: Waiting, is_resumed: boolean, now_ms: number): boolean {
    return frame.type === "message" && said_at !== null && (!is_resumed || now_ms - said_at >= this.repeat_ms);
  }

  /** A session began, or was resumed: gives what nobody knows whether it was stored. The rest is said once more. */
  begin(is_resumed: boolean, now_ms: number): Waiting[] {
    const unsure = this.all().filter((entry) => this.is_unsure(entry, is_resumed, now_ms));
    for (const entry of this.all()) if (entry.frame.type !== "message") entry.said_at = null;
    return unsure;
  }

  all(): Waiting[] {
    return [...this.#entries.values()];
  }
}
