// Rooms as a backend has them, over a line that nobody cuts: somebody publishes at a steady rate, and the log is copied before it
// is trimmed. What the copy has is the truth that clients are judged by. Refuses to go on when the copy has a hole, or when the
// server fails; one that `is_patient` knows that the server is being restarted, and says what was not taken again.

import { randomUUID } from "node:crypto";

/** How often a log is read; a room keeps 100 messages, so that is soon enough for a few tens of messages a second. */
const COPY_MS = 1_000;
const AGAIN_MS = 50;

export class Backend {
  /** Per room: its messages `{id, text, user_id}` in order. */
  logs = new Map();
  /** Per room: the ids that a publisher was answered. */
  published = new Map();
  #server;
  #is_patient;
  #speaking;
  #copying;
  #under_way = new Set();
  #failed;

  constructor(t, server, rooms, { is_patient = false } = {}) {
    this.#server = server;
    this.#is_patient = is_patient;
    for (const room of rooms) {
      this.logs.set(room, []);
      this.published.set(room, []);
    }
    const failed = (error) => void (is_patient && error instanceof Unanswered ? undefined : (this.#failed ??= error));
    this.#copying = setInterval(() => void this.copy().catch(failed), COPY_MS);
    t.after(() => {
      clearInterval(this.#speaking);
      clearInterval(this.#copying);
      this.#is_patient = false;
    });
  }

  /** Gives the id. */
  async publish(room, text) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": randomUUID() };
    for (;;) {
      try {
        const { id } = await this.#ask(room, "", { method: "POST", headers, body: JSON.stringify({ text }) });
        this.published.get(room).push(id);
        return id;
      } catch (error) {
        if (!this.#is_patient) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  /** Publishes to each room so many times a second, the rooms one after the other, until `hush`. */
  speak(per_second) {
    const rooms = [...this.logs.keys()];
    let count = 0;
    this.#speaking = setInterval(() => {
      const publishing = this.publish(rooms[count % rooms.length], `word ${count++}`)
        .catch((error) => (this.#failed ??= error))
        .finally(() => this.#under_way.delete(publishing));
      this.#under_way.add(publishing);
    }, 1_000 / (per_second * rooms.length));
  }

  /** Waits for what is under way. */
  async hush() {
    clearInterval(this.#speaking);
    await Promise.all(this.#under_way);
  }

  /** Copies what the logs have by now. */
  async copy() {
    if (this.#failed) throw this.#failed;
    await Promise.all([...this.logs].map(([room, log]) => this.#copy_room(room, log)));
  }

  /** The log, and what was acknowledged although the log lost it before it was copied. */
  due(room) {
    const log = this.logs.get(room);
    const known = new Set(log.map(({ id }) => id));
    return [...log, ...this.published.get(room).filter((id) => !known.has(id)).map((id) => ({ id }))].sort((a, b) => a.id - b.id);
  }

  async #copy_room(room, log) {
    const after = log.at(-1)?.id ?? 0;
    const { messages, complete } = await this.#ask(room, `?after=${after}&limit=1000`);
    // Position 0 proves nothing; that the beginning is there shows in what was published. What a restart loses is `due` all the same.
    const is_whole = this.#is_patient || (after > 0 ? complete : !(this.published.get(room)[0] < messages[0]?.id));
    if (!is_whole) throw new Error(`the log of ${room} was trimmed before it was copied: publish less`);
    // Two copies may be under way at once.
    for (const message of messages) if (message.id > (log.at(-1)?.id ?? 0)) log.push(message);
  }

  async #ask(room, query, request) {
    const address = `${this.#server.url}/rooms/${encodeURIComponent(room)}/messages${query}`;
    const response = await fetch(address, request).catch((error) => {
      throw new Unanswered(`${address}: ${error.cause ?? error}`);
    });
    if (!response.ok) throw new Unanswered(`${address}: ${response.status}`);
    return response.json();
  }
}

class Unanswered extends Error {}
