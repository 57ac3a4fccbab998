// What a way to reach the server is to the driver. Refuses to know when one is made, and what its frames mean.

import type { ClientFrame, ServerFrame } from "./frames.js";
import type { Loss } from "./verdict.js";

/** What an attempt is made with, and whom it tells. Nothing is told after `drop`. */
export interface Attempt {
  /** The server's address, with a slash at its end. */
  base: string;
  hello: ClientFrame;
  /** Headers for requests: the token, where there is one. */
  headers: Record<string, string>;
  frame(frame: ServerFrame): void;
  /** Bytes came that are no frame. */
  heard(): void;
  /** At most once. */
  lost(loss: Loss): void;
}

/** One connection, or one attempt to have one. */
export interface Link {
  say(frame: ClientFrame): void;
  drop(): void;
}

export interface Transport {
  /** Whether this surrounding has what it takes. */
  is_there(): boolean;
  connect(attempt: Attempt): Link;
  /** Finds out whether it would work, without the session and within the signal's time. */
  probe(base: string, signal: AbortSignal): Promise<boolean>;
}
