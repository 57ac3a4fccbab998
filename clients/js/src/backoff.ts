// How long to wait before the next attempt: full jitter below a ceiling that doubles from 1 s to 30 s. Pure: time and chance are
// handed in. Refuses to forget its failures because a connection was made; only one that lasted proves anything.

/** The lengths that decide how fast a client comes back, all in milliseconds. */
export interface BackoffOptions {
  /** The ceiling of the first pause. */
  first_ms: number;
  /** No ceiling is higher. */
  longest_ms: number;
  /** No pause is shorter, so that not even bad luck makes a tight loop. */
  least_ms: number;
  /** So long a connection must have lasted to begin from the first pause again. */
  stable_ms: number;
  /** A server's hint counts for no more than this. */
  hint_max_ms: number;
}

export const backoff_defaults: BackoffOptions = {
  first_ms: 1_000,
  longest_ms: 30_000,
  least_ms: 100,
  stable_ms: 5_000,
  hint_max_ms: 600_000,
};

export class Backoff {
  #losses = 0;

  constructor(private readonly options: BackoffOptions) {}

  /**
   * The pause after a loss. `lasted_ms` is how long the connection had its session, 0 for an attempt that failed; `hint_ms` is
   * the least that the server asked for, and `random` lies between 0 and 1.
   */
  lost(lasted_ms: number, hint_ms: number | undefined, random: number): number {
    const { first_ms, longest_ms, least_ms, stable_ms, hint_max_ms } = this.options;
    if (lasted_ms >= stable_ms) this.#losses = 0;
    const ceiling_ms = Math.min(longest_ms, first_ms * 2 ** Math.min(this.#losses++, 30));
    if (hint_ms === undefined) return Math.max(least_ms, Math.floor(random * ceiling_ms));
    const asked_ms = Math.min(hint_ms, hint_max_ms);
    return Math.max(least_ms, asked_ms + Math.floor(random * Math.max(asked_ms, ceiling_ms)));
  }
}
