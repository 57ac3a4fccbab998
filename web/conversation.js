// The page's client in one place: its rooms, from their beginning on, and what happens in them as events `{type, …}` for the page. Owns
// the client of the package `tidings`, which is tidings.js here. Refuses to hold any rule of messaging; those are the client's.

import { Tidings } from "./tidings.js";

// The one that was chosen, and what is left if it does not work here.
const TRANSPORTS = { __proto__: null, websocket: ["websocket", "sse", "poll"], sse: ["sse", "poll"], poll: ["poll"] };
const PING_EVERY_MS = 5_000;

export class Conversation {
  #client;
  #rooms = new Map();
  // Until a room's history so far was shown: what lies before it was not missed.
  #arriving;
  #is_away = false;
  #sent = 0;
  #session_id = "";
  #pings;

  /** @param {{base: string, rooms: string[], user: string, transport: string, cable: Cable, listener: (event: object) => void}} options */
  constructor({ base, rooms, user, transport, cable, listener }) {
    Object.assign(this, { base, listener });
    this.#arriving = new Set(rooms);
    const { WebSocket } = cable;
    // Of its own, also beside other tabs of the same name: it is this tab's connection that is to be broken.
    this.#client = new Tidings(base, { user, transports: TRANSPORTS[transport], WebSocket, share: false, remember: false, open: false });
    this.#client.on("state", (state) => this.#show_state(state));
    this.#client.on("session", (session) => this.#show_session(session));
    this.#client.on("error", ({ message }) => listener({ type: "notice", reason: message }));
    this.#client.on("restart", () => listener({ type: "notice", reason: "The server is restarting." }));
    for (const name of rooms) this.#enter(name);
    this.#pings = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#client.open();
  }

  position(room) {
    return this.#rooms.get(room)?.position ?? 0;
  }

  get latency_ms() {
    return this.#client.latency_ms;
  }

  /** Takes a message; its fate is told as `ack` or `refused` with its `ref`. */
  send(room, text) {
    const ref = String(++this.#sent);
    this.#rooms.get(room).send(text).then(
      (id) => this.listener({ type: "ack", ref, id }),
      (error) => this.listener({ type: "refused", ref, reason: error.message }),
    );
    return { ref, room, text };
  }

  typing(room, goes_on) {
    if (goes_on) this.#rooms.get(room).typing();
    else this.#rooms.get(room).stop_typing();
  }

  /** Asks who is in a room; the answer comes as `presence`. */
  async who(name) {
    const answer = await this.#rooms.get(name).presence().catch(() => null);
    if (answer) this.listener({ ...answer, type: "presence", room: name });
  }

  switch_to(transport) {
    this.#client.use(...TRANSPORTS[transport]);
  }

  /** Closes the connection, and stays away for a while. */
  drop(away_ms) {
    this.#is_away = true;
    this.#client.interrupt(away_ms);
  }

  /** Asks the server to do to this connection what it does to all when it restarts. Said by POST, which works whatever the transport is. */
  async restart() {
    const url = new URL(`sessions/${this.#session_id}/send`, this.base);
    const response = await fetch(url, { method: "POST", body: '{"type":"rehearse_restart"}' }).catch(() => null);
    if (!response?.ok) this.listener({ type: "notice", reason: "The server could not be asked for a restart." });
  }

  open() {
    this.#client.open();
  }

  close() {
    clearInterval(this.#pings);
    this.listener = () => {};
    this.#client.close();
  }

  #enter(name) {
    const room = this.#client.room(name, { after: 0 });
    this.#rooms.set(name, room);
    room.on("message", (message) => this.listener({ type: "message", room: name, message, missed: message.recovered && !this.#arriving.has(name) }));
    room.on("restored", ({ messages }) => {
      const missed = !this.#arriving.delete(name) && messages > 0;
      if (missed) this.listener({ type: "restored", room: name, messages });
    });
    room.on("gap", (gap) => this.#arriving.has(name) || this.listener({ ...gap, type: "gap" }));
    room.on("typing", ({ user, typing }) => this.listener({ type: "typing", room: name, user_id: user, typing }));
    room.on("presence", (change) => this.listener({ ...change, type: "presence_change" }));
  }

  #show_session(session) {
    this.#session_id = session.session_id;
    this.listener({ ...session, type: "session" });
  }

  #show_state({ state, retry_in_ms, reason, transport }) {
    if (state !== "waiting") this.#is_away = false;
    const retry_at = retry_in_ms === undefined ? undefined : Date.now() + retry_in_ms;
    this.listener({ type: "state", state: this.#is_away ? "away" : state, retry_at, reason: state === "closed" ? reason : undefined, transport });
    if (state === "live") this.#ping();
  }

  #ping() {
    if (this.#client.state.state === "live" && !document.hidden) this.#client.ping();
    this.listener({ type: "latency" });
  }
}
