// One session in some rooms, over one transport at a time, that comes back by itself. Owns the positions, the session id and
// the unsent messages, which outlive each transport; tells its listener what happened, as events `{type, …}`. Refuses to
// touch the page, and to know how a transport works.
//
// The position in a room is the id of the last message delivered. Whatever brings a message with an id at or below it brings
// it again, and it is dropped. Ids only rise, so what the listener gets of a room is in order, once.

import { Positions } from "./positions.js";
import { ReconnectDelay } from "./reconnect_delay.js";
import { Unsent } from "./unsent.js";

const RATE_LIMITED_PAUSE_MS = 1_000;

// Errors that say nothing about the message: it stays in the queue.
const PASSING_ERRORS = new Set(["rate_limited", "engine_unavailable"]);

// Frames that are passed on as they are.
const EPHEMERAL = ["presence", "presence_changed", "user_joined", "user_left", "user_typing", "user_stopped_typing"];

/**
 * What a transport is made with. It tells every frame that the server says, and once that it was lost: with `final_reason` if
 * there is no use in coming back, with `wait_ms` if it wants at least that pause.
 * @typedef {{base: string, user_id: string, rooms: string[], positions: Positions, session_id: string | null,
 *   on_frame: (frame: object) => void, on_lost: (loss: {final_reason?: string, wait_ms?: number}) => void}} Attempt
 */

export class Connection {
  #transport = null;
  #positions;
  // Until a room's history so far was shown: what lies before it was not missed.
  #arriving;
  #session_id = null;
  #unsent = new Unsent();
  #delay = new ReconnectDelay();
  #restart_after_ms = null;
  #state = "closed";
  #retry_timer;
  #resend_timer;

  /**
   * @param {{base: string, rooms: string[], user_id: string, connect: (attempt: Attempt) => object, listener: (event: object) => void}} options
   * `base` is the address of the page, `connect` makes a transport with `send(frame)`, `doubt(answer_within_ms)`, `close()`.
   * Events: `state {state, retry_at?, reason?}` with state `connecting`, `live`, `waiting`, `away`, `closed`;
   * `session {node, session_id}`, `message {room, message, recovered}`, `restored {room, messages}`,
   * `gap {room, after, before, reason}`, `ack {ref, id}`, `refused {ref, reason}`, `notice {reason}`, and the server's frames
   * about presence and typing.
   */
  constructor({ base, rooms, user_id, connect, listener }) {
    Object.assign(this, { base, rooms, user_id, connect, listener });
    this.#positions = new Positions(rooms);
    this.#arriving = new Set(rooms);
  }

  position(room) {
    return this.#positions.of(room);
  }

  get state() {
    return this.#state;
  }

  /** Connects now, whatever was planned. */
  open() {
    this.#abandon();
    this.#tell_state("connecting");
    const { base, user_id, rooms } = this;
    // Once abandoned, a transport may still report: only the present one counts.
    const present = (act) => (what) => transport === this.#transport && act(what);
    const transport = this.connect({
      base, user_id, rooms,
      positions: this.#positions,
      session_id: this.#session_id,
      on_frame: present((frame) => this.#receive(frame)),
      on_lost: present((loss) => this.#lost(loss)),
    });
    this.#transport = transport;
  }

  /** Goes on over another transport: same session, same positions. */
  switch_to(connect) {
    this.connect = connect;
    this.open();
  }

  /** Queues a message and sends it if it can go now. Gives `{ref, room, text}`, or `null` when too many wait already. */
  send(room, text) {
    const message = this.#unsent.add(room, text);
    if (message && this.#state === "live") this.#transmit(message);
    return message;
  }

  /** Says something that is of use only now: it is not kept for later. */
  mention(frame) {
    if (this.#state === "live") this.#transport.send(frame);
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
    else if (this.#state === "live") this.#transport.doubt(answer_within_ms);
  }

  #receive(frame) {
    const act = {
      __proto__: null,
      session: () => this.#settle_in(frame),
      restore: () => this.#restore(frame),
      message: () => this.#deliver(frame.room, frame, false),
      gap: () => this.#gap(frame),
      ack: () => this.#unsent.settle(frame.ref) && this.listener(frame),
      error: () => this.#refused(frame),
      server_restart: () => this.#acknowledge_restart(frame),
    }[frame?.type];
    // What a later server may say besides is no concern of this page.
    if (act) act();
    else if (EPHEMERAL.includes(frame?.type)) this.listener(frame);
  }

  #settle_in({ session_id, node }) {
    this.#session_id = session_id;
    // Not when the transport opens: a server at capacity opens a WebSocket only to close it again.
    this.#delay.reset();
    this.listener({ type: "session", session_id, node });
    this.#tell_state("live");
    this.#transmit_all();
  }

  #restore({ room, messages, last_message_id }) {
    if (!this.#positions.has(room)) return;
    const missed = !this.#arriving.delete(room);
    const fresh = messages.filter((message) => this.#deliver(room, message, missed));
    // Also where no message came: who stands in an empty room must not ask from its beginning again.
    this.#positions.advance(room, last_message_id ?? 0);
    if (missed && fresh.length > 0) this.listener({ type: "restored", room, messages: fresh.length });
  }

  #deliver(room, message, recovered) {
    if (!this.#positions.advance(room, message.id)) return false;
    this.listener({ type: "message", room, message, recovered });
    return true;
  }

  #gap({ room, after, before, reason }) {
    if (!this.#positions.has(room) || this.#arriving.has(room)) return;
    this.listener({ type: "gap", room, after, before, reason });
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
    this.#transport.send({ type: "restart_ack" });
    this.listener({ type: "notice", reason: "The server is restarting." });
  }

  #transmit_all() {
    if (this.#state !== "live") return;
    for (const message of this.#unsent) this.#transmit(message);
  }

  #transmit({ ref, room, text }) {
    this.#transport.send({ type: "message", room, text, ref });
  }

  #lost({ final_reason, wait_ms = 0 }) {
    this.#abandon();
    if (final_reason) {
      this.#tell_state("closed", { reason: final_reason });
      return;
    }
    const asked_ms = this.#restart_after_ms;
    this.#restart_after_ms = null;
    const delay_ms = asked_ms === null ? this.#delay.next() : asked_ms * (1 + Math.random() / 2);
    this.#come_back_in(Math.max(delay_ms, wait_ms), "waiting");
  }

  #come_back_in(wait_ms, state) {
    this.#retry_timer = setTimeout(() => this.open(), wait_ms);
    this.#tell_state(state, { retry_at: Date.now() + wait_ms });
  }

  #abandon() {
    for (const timer of [this.#retry_timer, this.#resend_timer]) clearTimeout(timer);
    const transport = this.#transport;
    this.#transport = null;
    transport?.close();
  }

  #tell_state(state, details = {}) {
    this.#state = state;
    this.listener({ type: "state", state, ...details });
  }
}
