// Notices that nothing comes any more. A dead network closes no connection, so after some silence it asks for a sign of life,
// and gives up when none follows. Owned by one transport; refuses to know how one asks.

const USUAL_INTERVAL_MS = 25_000;
const ANSWER_TIMEOUT_MS = 10_000;

export class Silence {
  #interval_ms = Infinity;
  #timer;

  constructor({ ask, give_up }) {
    Object.assign(this, { ask, give_up });
  }

  /** From now on, so much silence is too much. */
  watch(interval_ms = USUAL_INTERVAL_MS) {
    this.#interval_ms = interval_ms;
    this.heard();
  }

  heard() {
    clearTimeout(this.#timer);
    if (this.#interval_ms < Infinity) this.#timer = setTimeout(() => this.doubt(ANSWER_TIMEOUT_MS), this.#interval_ms);
  }

  /** Asks at once. */
  doubt(answer_within_ms) {
    this.allow(Math.min(answer_within_ms, this.#interval_ms));
    this.ask();
  }

  /** Gives up if nothing is heard for so long. */
  allow(wait_ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.give_up, wait_ms);
  }

  end() {
    clearTimeout(this.#timer);
  }
}
