// A client that changes its transport, and a publisher that does not pause. The id of the last message it has is all that
// the client takes along, beside its session.

import assert from "node:assert/strict";

import { load } from "./places.mjs";
import { Arrivals } from "./wait.mjs";

const WebSocket = load("ws");
const { EventSource } = load("eventsource");

const ROOM = "road";
const USER = "ana";

/** Publishes without a pause until it is told to stop. */
export class Publisher {
  ids = [];
  #publishing = false;

  constructor(url) {
    this.url = url;
  }

  start() {
    this.#publishing = true;
    this.ended = this.#publish();
  }

  async stop() {
    this.#publishing = false;
    await this.ended;
  }

  async #publish() {
    while (this.#publishing) {
      const body = JSON.stringify({ text: `number ${this.ids.length}` });
      const response = await fetch(`${this.url}/rooms/${ROOM}/messages`, { method: "POST", headers: { "content-type": "application/json" }, body });
      assert.equal(response.status, 200);
      this.ids.push((await response.json()).id);
    }
  }
}

export class Wanderer {
  messages = [];
  session_ids = new Set();
  /** The nodes that served it. */
  nodes = new Set();
  #frames;
  #attempts = 0;

  /** `headers` go with every request, as cookies of a browser would. */
  constructor(server, headers = {}) {
    this.server = server;
    this.headers = headers;
  }

  get position() {
    return this.messages.at(-1)?.id;
  }

  get session_id() {
    return [...this.session_ids].at(-1);
  }

  /** A proxy may let the poll that it gave up arrive after its next connection. */
  get attempt() {
    return ++this.#attempts;
  }

  /** Reads until it has so many messages in all. */
  async read(count) {
    while (this.messages.length < count) this.#take(await this.#frames.take("a frame", ({ type }) => /^(message|restore|gap)$/.test(type)));
  }

  #take(frame) {
    assert.notEqual(frame.type, "gap", JSON.stringify(frame));
    for (const message of frame.messages ?? [frame]) if (message.room === ROOM) this.messages.push(message);
  }

  #begun({ session_id, node }) {
    this.session_ids.add(session_id);
    this.nodes.add(node);
  }

  async by_websocket(leg) {
    const frames = (this.#frames = new Arrivals());
    const socket = new WebSocket(`${this.server.websocket_url}/ws?user_id=${USER}`, { headers: this.headers });
    socket.on("open", () => {
      const { session_id, attempt, position } = this;
      socket.send(JSON.stringify({ type: "hello", user_id: USER, rooms: [ROOM], session_id, attempt, positions: position && { [ROOM]: position } }));
    });
    socket.on("message", (data) => frames.push(JSON.parse(data)));
    socket.on("error", () => {});
    try {
      this.#begun(await frames.take("the session", ({ type }) => type === "session"));
      await leg();
    } finally {
      socket.terminate();
    }
  }

  async by_event_stream(leg) {
    const frames = (this.#frames = new Arrivals());
    const query = new URLSearchParams({ room: ROOM, user_id: USER, session_id: this.session_id, attempt: this.attempt, last_event_id: this.position });
    const with_headers = (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...this.headers } });
    const source = new EventSource(`${this.server.url}/events?${query}`, { fetch: with_headers });
    for (const type of ["session", "message", "gap"]) source.addEventListener(type, ({ data }) => frames.push(JSON.parse(data)));
    try {
      this.#begun(await frames.take("the session", ({ type }) => type === "session"));
      await leg();
    } finally {
      source.close();
    }
  }

  /** Leaves in the middle of a poll, too. */
  async by_long_polls(leg) {
    const frames = (this.#frames = new Arrivals());
    const leaving = new AbortController();
    const polling = this.#poll(frames, leaving.signal);
    try {
      await Promise.race([leg(), polling]);
    } finally {
      leaving.abort();
      await polling;
    }
  }

  async #poll(frames, signal) {
    let cursor = this.position;
    while (!signal.aborted) {
      const query = new URLSearchParams({ room: ROOM, user_id: USER, session_id: this.session_id, attempt: this.attempt, cursor, batch: 3 });
      const response = await fetch(`${this.server.url}/poll/wanderer?${query}`, { signal, headers: this.headers }).catch((error) => {
        if (!signal.aborted) throw error;
      });
      if (response) this.nodes.add(response.headers.get("tidings-node"));
      const answer = await response?.json().catch((error) => {
        if (!signal.aborted) throw error;
      });
      if (!answer) return;
      assert.ok(answer.data, JSON.stringify(answer));
      this.session_ids.add(answer.session_id);
      answer.data.forEach((frame) => frames.push(frame));
      cursor = answer.cursor;
    }
  }
}

/** A publisher publishes all the way of a wanderer, who must get everything once and in order, by one session. */
export async function wander(server, wanderer, laps) {
  const publisher = new Publisher(server.url);
  await wanderer.by_websocket(async () => {
    publisher.start();
    await wanderer.read(10);
  });
  for (let lap = 0; lap < laps; lap++) {
    for (const way of ["by_event_stream", "by_long_polls", "by_websocket"]) {
      const enough = wanderer.messages.length + 20;
      await wanderer[way](() => wanderer.read(enough));
    }
  }
  await wanderer.by_event_stream(async () => {
    await publisher.stop();
    await wanderer.read(publisher.ids.length);
  });
  assert.deepEqual(wanderer.messages.map(({ id }) => id), publisher.ids);
  assert.equal(wanderer.session_ids.size, 1, "it was one session all the way");
}
