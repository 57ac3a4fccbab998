// How long to wait before the next attempt: 1 s, doubled up to 30 s, with jitter. Owned by one connection.
// Refuses to know why the connection was lost, and never waits longer than it says.

const FIRST_MS = 1_000;
const MAX_MS = 30_000;

export class ReconnectDelay {
  #next_ms = FIRST_MS;

  /** @returns {number} milliseconds, between half of the step and the whole of it: a crowd that was cut off together must not come back together. */
  next(random = Math.random) {
    const step_ms = this.#next_ms;
    this.#next_ms = Math.min(step_ms * 2, MAX_MS);
    return Math.round(step_ms * (0.5 + random() / 2));
  }

  reset() {
    this.#next_ms = FIRST_MS;
  }
}
