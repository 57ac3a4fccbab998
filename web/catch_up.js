// Brings a client over plain HTTP from its positions to where the server goes on, whichever transport it had before. Reads
// each room's history once the server has said from where its messages follow, and makes of it the same `restore` that a
// WebSocket gets. What comes meanwhile is held back, so that the order stays right. Owned by one transport.
//
// Why not the event stream's `Last-Event-ID`: it would do for a client that never changes its transport.

const HISTORY_TIMEOUT_MS = 10_000;
const DONE_WITHIN_MS = 20_000;
const PAGE_MESSAGES = 1_000;
const HELD_FRAMES_MAX = 10_000;

export class CatchUp {
  /** The frames held back, for each room that is not caught up. */
  #held = new Map();
  /** Up to where the history told what is lost, for each room that is caught up. */
  #told = new Map();
  #finish;

  /** Fulfilled once all rooms are caught up. What one says then comes after what one missed. */
  done = new Promise((resolve) => (this.#finish = resolve));

  /** @param {{base: string, rooms: string[], positions: import("./positions.js").Positions, signal: AbortSignal, on_frame: (frame: object) => void, on_lost: (loss: object) => void}} options */
  constructor(options) {
    Object.assign(this, options);
    for (const room of options.rooms) this.#held.set(room, []);
    const late = setTimeout(() => this.on_lost({}), DONE_WITHIN_MS);
    for (const end of [this.done, aborted(this.signal)]) end.then(() => clearTimeout(late));
  }

  /** Takes a frame as it came: `joined` begins to catch up, and what belongs after that waits. */
  pass(frame) {
    const held = this.#held.get(frame.room);
    if (frame.type === "gap" && frame.before <= this.#told.get(frame.room)) return;
    if (!held) this.on_frame(frame);
    else if (frame.type === "joined") this.#catch_up(frame);
    else if (held.length < HELD_FRAMES_MAX) held.push(frame);
    else this.on_lost({});
  }

  async #catch_up({ room, last_message_id }) {
    try {
      await this.#read(room, last_message_id);
    } catch {
      if (!this.signal.aborted) this.on_lost({});
      return;
    }
    const held = this.#held.get(room) ?? [];
    this.#held.delete(room);
    this.#told.set(room, this.positions.of(room));
    for (const frame of held) this.pass(frame);
    if (this.#held.size === 0) this.#finish();
  }

  /** Reads at least up to `end`, from where on messages follow by themselves. */
  async #read(room, end) {
    let messages;
    do {
      const after = this.positions.of(room);
      let complete;
      ({ messages, complete } = await this.#page(room, after));
      const last_message_id = messages.at(-1)?.id ?? Math.max(after, end);
      this.on_frame({ type: "restore", room, messages, last_message_id, recovered: complete });
      // A page that is incomplete only because it is full says so in the same word: better a needless warning than silence.
      // Position 0 asks for all there is, and has lost nothing.
      const before = messages[0]?.id ?? end + 1;
      if (!complete && after > 0 && before > after + 1) this.on_frame({ type: "gap", room, after, before, reason: "expired" });
    } while (messages.length > 0 && this.positions.of(room) < end);
  }

  async #page(room, after) {
    const url = new URL(`rooms/${encodeURIComponent(room)}/messages`, this.base);
    url.search = new URLSearchParams({ after, limit: PAGE_MESSAGES });
    const response = await fetch(url, { signal: AbortSignal.any([this.signal, AbortSignal.timeout(HISTORY_TIMEOUT_MS)]) });
    if (!response.ok) throw new Error(`history: ${response.status}`);
    return response.json();
  }
}

function aborted(signal) {
  return new Promise((resolve) => signal.addEventListener("abort", resolve));
}
