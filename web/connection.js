// One room over one WebSocket that comes back by itself. Owns the socket, the cursor and the unsent messages; tells its
// listener what happened, as events `{type, …}`. Refuses to touch the page.
//
// The cursor is the id of the last message delivered. Each `hello` carries it, so the server answers with what was missed;
// an id at or below it was delivered before and is dropped. Ids only rise, so what the listener gets is in order, once.

import { ReconnectDelay } from "./reconnect_delay.js";
import { Unsent } from "./unsent.js";

const OPEN_TIMEOUT_MS = 10_000;
const PONG_TIMEOUT_MS = 10_000;
const PING_INTERVAL_MS = 25_000;
const RATE_LIMITED_PAUSE_MS = 1_000;

// Close codes after which coming back by oneself would only repeat the refusal, or fight another tab for the session.
const FINAL_CLOSE_CODES = new Map([
  [1008, "The server does not allow this."],
  [4000, "Another connection took over this session."],
  [4003, "The token expired."],
]);

// Errors that say nothing about the message: it stays in the queue.
const PASSING_ERRORS = new Set(["rate_limited", "unavailable"]);

export class Connection {
  #socket = null;
  #cursor = 0;
  // Until the room's history so far was shown: what lies before it was not missed.
  #arriving = true;
  #session_id = null;
  #unsent = new Unsent();
  #delay = new ReconnectDelay();
  #restart_after_ms = null;
  #state = "closed";
  #ping_interval_ms = PING_INTERVAL_MS;
  #retry_timer;
  #silence_timer;
  #resend_timer;

  /**
   * @param {{url: string, room: string, user_id: string, listener: (event: object) => void, WebSocket?: typeof WebSocket}} options
   * `url` of `/ws`. Events: `state {state, retry_at?, reason?}` with state `connecting`, `live`, `waiting`, `away`, `closed`;
   * `session {node, session_id}`, `message {message, recovered}`, `restored {messages}`, `gap {after, before, reason}`,
   * `ack {ref, id}`, `refused {ref, reason}`, `notice {reason}`.
   */
  constructor({ url, room, user_id, listener, WebSocket = globalThis.WebSocket }) {
    Object.assign(this, { url, room, user_id, listener, WebSocket });
  }

  get cursor() {
    return this.#cursor;
  }

  get state() {
    return this.#state;
  }

  /** Connects now, whatever was planned. */
  open() {
    this.#abandon();
    this.#tell_state("connecting");
    const socket = new this.WebSocket(this.url);
    this.#socket = socket;
    // Once abandoned, a socket may still report: only the present one counts.
    const present = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = present(() => this.#hello());
    socket.onmessage = present((event) => this.#receive(event.data));
    socket.onclose = present((event) => this.#lost(event.code, event.reason));
    this.#silence_timer = setTimeout(() => this.#lost(), OPEN_TIMEOUT_MS);
  }

  /** Queues a message and sends it if it can go now. Gives `{ref, text}`, or `null` when too many wait already. */
  send(text) {
    const message = this.#unsent.add(text);
    if (message && this.#state === "live") this.#transmit(message);
    return message;
  }

  /** Lets go of the connection without a word to the room, and stays away for a while. */
  drop(away_ms) {
    this.#abandon();
    this.#come_back_in(away_ms, "away");
  }

  /** Leaves for good. */
  close() {
    this.#abandon();
    this.#tell_state("closed", { reason: null });
  }

  /** The browser suspects a change of network: ask the server at once instead of waiting for silence to tell. */
  suspect(answer_within_ms) {
    if (this.#state === "waiting") this.open();
    else if (this.#state === "live") this.#ping(answer_within_ms);
  }

  #hello() {
    const hello = { type: "hello", user_id: this.user_id, rooms: [this.room], positions: { [this.room]: this.#cursor } };
    if (this.#session_id) hello.session_id = this.#session_id;
    this.#write(hello);
  }

  #receive(data) {
    if (this.#state === "live") this.#listen_for_silence();
    const frame = parse(data);
    const act = {
      __proto__: null,
      session: () => this.#settle_in(frame),
      restore: () => this.#restore(frame),
      message: () => this.#deliver(frame, false),
      gap: () => this.#gap(frame),
      ack: () => this.#unsent.settle(frame.ref) && this.listener(frame),
      error: () => this.#refused(frame),
      server_restart: () => this.#acknowledge_restart(frame),
    }[frame?.type];
    // What a later server may say besides is no concern of this page.
    act?.();
  }

  #settle_in({ session_id, node, ping_interval_ms }) {
    this.#session_id = session_id;
    this.#ping_interval_ms = ping_interval_ms ?? PING_INTERVAL_MS;
    // Not when the socket opens: a server at capacity opens it only to close it again.
    this.#delay.reset();
    this.listener({ type: "session", session_id, node });
    this.#tell_state("live");
    this.#listen_for_silence();
    this.#transmit_all();
  }

  #restore({ room, messages, last_message_id }) {
    if (room !== this.room) return;
    const missed = !this.#arriving;
    this.#arriving = false;
    const fresh = messages.filter((message) => this.#deliver(message, missed));
    // Also where no message came: who stands in an empty room must not ask from its beginning again.
    this.#cursor = Math.max(this.#cursor, last_message_id ?? 0);
    if (missed && fresh.length > 0) this.listener({ type: "restored", messages: fresh.length });
  }

  #deliver(message, recovered) {
    if ((message.room ?? this.room) !== this.room || message.id <= this.#cursor) return false;
    this.#cursor = message.id;
    this.listener({ type: "message", message, recovered });
    return true;
  }

  #gap({ room, after, before, reason }) {
    if (room !== this.room || this.#arriving) return;
    this.listener({ type: "gap", after, before, reason });
  }

  #refused({ ref, code, message }) {
    if (this.#state === "connecting") {
      this.#abandon();
      this.#tell_state("closed", { reason: message });
    } else if (PASSING_ERRORS.has(code)) {
      clearTimeout(this.#resend_timer);
      this.#resend_timer = setTimeout(() => this.#transmit_all(), RATE_LIMITED_PAUSE_MS);
    } else if (ref && this.#unsent.settle(ref)) {
      this.listener({ type: "refused", ref, reason: message });
    } else {
      this.listener({ type: "notice", reason: message });
    }
  }

  #acknowledge_restart({ reconnect_after_ms }) {
    this.#restart_after_ms = reconnect_after_ms;
    this.#write({ type: "restart_ack" });
    this.listener({ type: "notice", reason: "The server is restarting." });
  }

  #transmit_all() {
    if (this.#state !== "live") return;
    for (const message of this.#unsent) this.#transmit(message);
  }

  #transmit({ ref, text }) {
    this.#write({ type: "message", room: this.room, text, ref });
  }

  #write(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  // The browser answers the server's pings without telling the page, so the page asks for a sign of life itself.
  #listen_for_silence() {
    clearTimeout(this.#silence_timer);
    this.#silence_timer = setTimeout(() => this.#ping(PONG_TIMEOUT_MS), this.#ping_interval_ms);
  }

  #ping(answer_within_ms) {
    clearTimeout(this.#silence_timer);
    const wait_ms = Math.min(answer_within_ms, this.#ping_interval_ms);
    this.#silence_timer = setTimeout(() => this.#lost(), wait_ms);
    this.#write({ type: "ping" });
  }

  #lost(code, reason) {
    this.#abandon();
    if (FINAL_CLOSE_CODES.has(code)) {
      this.#tell_state("closed", { reason: reason || FINAL_CLOSE_CODES.get(code) });
      return;
    }
    const asked_ms = this.#restart_after_ms;
    this.#restart_after_ms = null;
    this.#come_back_in(asked_ms === null ? this.#delay.next() : asked_ms * (1 + Math.random() / 2), "waiting");
  }

  #come_back_in(wait_ms, state) {
    this.#retry_timer = setTimeout(() => this.open(), wait_ms);
    this.#tell_state(state, { retry_at: Date.now() + wait_ms });
  }

  #abandon() {
    for (const timer of [this.#retry_timer, this.#silence_timer, this.#resend_timer]) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #tell_state(state, details = {}) {
    this.#state = state;
    this.listener({ type: "state", state, ...details });
  }
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
