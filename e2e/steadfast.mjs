// Clients of each transport that come back when their connection ends, with what the protocol gives them for that; and one
// who speaks by POST, and says again what was not answered. Nothing here is retried by a library that nobody asked to.

import { randomUUID } from "node:crypto";

import { load } from "./places.mjs";
import { until, Watched } from "./wait.mjs";

const WebSocket = load("ws");
const { EventSource } = load("eventsource");

/** Has to be started. */
class Reader {
  messages = [];
  /** The nodes that served it, one after the other. */
  nodes = [];
  session_id;
  #changes = new Watched();

  constructor(t, server, room, headers) {
    Object.assign(this, { server, room, headers });
    t.after(() => this.stop());
  }

  get position() {
    return this.messages.at(-1)?.id;
  }

  served_by(node) {
    if (this.nodes.at(-1) !== node) this.nodes.push(node);
    this.#changes.changed();
  }

  take(frame) {
    if (frame.type === "gap") return this.#changes.fail(new Error(`${this.constructor.name} at ${this.nodes} lost something: ${JSON.stringify(frame)}`));
    if (frame.type === "session") {
      this.session_id = frame.session_id;
      this.served_by(frame.node);
    }
    for (const message of frame.messages ?? [frame]) if (message.type === undefined || message.type === "message") this.messages.push(message);
    this.#changes.changed();
  }

  /** Waits until it has so many messages in all. */
  has(count) {
    return this.#changes.until(`${this.constructor.name} has ${count} messages`, () => this.messages.length >= count);
  }

  is_served() {
    return this.#changes.until(`${this.constructor.name} is served`, () => this.nodes.length > 0);
  }
}

export class OverWebSocket extends Reader {
  start() {
    const socket = (this.socket = new WebSocket(`${this.server.websocket_url}/ws?user_id=ana`, { headers: this.headers }));
    socket.on("open", () => {
      const { room, session_id, position } = this;
      socket.send(JSON.stringify({ type: "hello", user_id: "ana", rooms: [room], session_id, positions: position && { [room]: position } }));
    });
    socket.on("message", (data) => this.take(JSON.parse(data)));
    socket.on("error", () => {});
    socket.on("close", () => this.is_stopped || this.start());
  }

  stop() {
    this.is_stopped = true;
    this.socket.terminate();
  }
}

/** The `EventSource` comes back by itself. */
export class OverEventStream extends Reader {
  start() {
    const with_headers = (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...this.headers } });
    this.source = new EventSource(`${this.server.url}/events?room=${this.room}&user_id=ben`, { fetch: with_headers });
    for (const type of ["session", "message", "gap"]) this.source.addEventListener(type, ({ data }) => this.take(JSON.parse(data)));
  }

  stop() {
    this.source.close();
  }
}

export class OverLongPolls extends Reader {
  #leaving = new AbortController();

  async start() {
    const { signal } = this.#leaving;
    // The first answer only says where it begins.
    let place = { timeout_s: 0 };
    while (!signal.aborted) {
      const query = new URLSearchParams({ room: this.room, user_id: "eva", batch: 10, ...place });
      const response = await fetch(`${this.server.url}/poll/steadfast?${query}`, { signal, headers: this.headers }).catch(() => undefined);
      const answer = response?.ok ? await response.json().catch(() => undefined) : undefined;
      if (!answer) continue;
      this.served_by(response.headers.get("tidings-node"));
      (answer.data ?? []).forEach((frame) => this.take(frame));
      // Without one the poll was over before the node knew where the room ends.
      if (answer.cursor !== null) place = { cursor: answer.cursor };
    }
  }

  stop() {
    this.#leaving.abort();
  }
}

/** Publishes by `POST`, as a backend and as a session in turn, until it is told to stop. */
export class Speaker {
  ids = [];
  /** Requests that had to be made again. */
  repeats = 0;

  /** The session speaks as the reader who has it. */
  constructor(server, room, reader, headers) {
    Object.assign(this, { server, room, reader, headers, ended: this.#speak(server, room) });
  }

  async stop() {
    this.is_stopped = true;
    await this.ended;
  }

  async #speak(server, room) {
    // The fields are there only after the constructor.
    await undefined;
    for (let number = 0; !this.is_stopped; number++) {
      const [text, name] = [`number ${number}`, randomUUID()];
      const as_session = number % 2 === 1;
      const path = as_session ? `/sessions/${this.reader.session_id}/send` : `/rooms/${room}/messages`;
      const frame = as_session ? { type: "message", room, text, ref: name } : { text };
      const headers = { ...this.headers, "content-type": "application/json", ...(as_session ? {} : { "idempotency-key": name }) };
      const post = () => fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(frame) }).then(async (response) => {
        if (response.status === 200) return (await response.json()).id;
      });
      const again = (outcome) => outcome || (this.repeats++, undefined);
      this.ids.push(await until(`${text} is stored`, () => post().catch(() => undefined).then(again)));
    }
  }
}
