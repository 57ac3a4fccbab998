// A session over server-sent events: an `EventSource` listens, `Speaker` speaks, `CatchUp` sees to what was missed. Owns the
// stream. Refuses to let the browser reconnect by itself: it would ask the server again every few seconds, in step with
// everybody else, and stop for good at the first 503.

import { CatchUp } from "./catch_up.js";
import { Silence } from "./silence.js";
import { Speaker } from "./speaker.js";

const OPEN_TIMEOUT_MS = 10_000;

// An EventSource has no listener for "whatever comes": each type has to be asked for.
const EVENT_TYPES = [
  "session", "joined", "message", "gap", "presence", "presence_changed", "user_joined", "user_left", "user_typing",
  "user_stopped_typing", "server_restart",
];

export class SseTransport {
  #stream;
  #silence;
  #speaker = null;
  #abort = new AbortController();

  /** @param {import("./connection.js").Attempt} attempt */
  constructor(attempt) {
    const { base, user_id, rooms, session_id, on_frame, on_lost } = attempt;
    const signal = this.#abort.signal;
    const url = new URL("events", base);
    for (const room of rooms) url.searchParams.append("room", room);
    url.searchParams.set("user_id", user_id);
    if (session_id) url.searchParams.set("session_id", session_id);

    // The comments with which the server shows that it lives are not shown to the page, so it asks for a sign of life itself.
    const silence = new Silence({ ask: () => this.#speaker?.say({ type: "ping" }), give_up: () => on_lost({}) });
    silence.allow(OPEN_TIMEOUT_MS);
    const catch_up = new CatchUp({ ...attempt, signal });
    const answered = (frame) => {
      silence.heard();
      on_frame(frame);
    };
    const receive = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "session") {
        this.#speaker = new Speaker({ base, session_id: frame.session_id, after: catch_up.done, signal, on_frame: answered, on_lost });
        silence.watch(frame.ping_interval_ms);
      }
      silence.heard();
      catch_up.pass(frame);
    };
    this.#stream = new EventSource(url);
    for (const type of EVENT_TYPES) this.#stream.addEventListener(type, receive);
    // Both the server's `error` frame, which has data, and a lost connection, which has none.
    this.#stream.onerror = (event) => (event.data === undefined ? on_lost({}) : receive(event));
    this.#silence = silence;
  }

  send(frame) {
    this.#speaker?.say(frame);
  }

  /** Gives the connection up unless the server shows a sign of life within this time. */
  doubt(answer_within_ms) {
    this.#silence.doubt(answer_within_ms);
  }

  close() {
    this.#silence.end();
    this.#abort.abort();
    this.#stream.close();
  }
}
