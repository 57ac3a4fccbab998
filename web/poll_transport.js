// A session over long polls: `GET /poll/{client_id}` again and again, each with the cursor that the one before answered;
// `Speaker` speaks, `CatchUp` sees to what was missed. Owns the polls. Refuses to go on after an error: `Connection` pauses
// and begins anew.

import { CatchUp } from "./catch_up.js";
import { Silence } from "./silence.js";
import { Speaker } from "./speaker.js";

const BATCH_FRAMES = 50;
const HOLD_S = 25;
const ANSWER_TIMEOUT_MS = 10_000;
const PAUSE_AFTER_ERROR_MS = 5_000;

// The same for all polls of this page, so that the server knows that a newer one takes the place of an older one.
const client_id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class PollTransport {
  #attempt;
  #abort = new AbortController();
  #silence;
  #catch_up;
  #speaker = null;

  /** @param {import("./connection.js").Attempt} attempt */
  constructor(attempt) {
    const on_lost = (loss) => attempt.on_lost({ wait_ms: PAUSE_AFTER_ERROR_MS, ...loss });
    this.#attempt = { ...attempt, signal: this.#abort.signal, on_lost };
    this.#silence = new Silence({ ask: () => this.#speaker?.say({ type: "ping" }), give_up: () => on_lost({}) });
    this.#catch_up = new CatchUp(this.#attempt);
    this.#poll();
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
  }

  async #poll() {
    try {
      for (let cursor = null; ; ) {
        const answer = await this.#ask(cursor);
        if (!answer || this.#attempt.signal.aborted) return;
        this.#silence.heard();
        for (const frame of answer.data) this.#catch_up.pass(frame);
        if (cursor === null) await this.#begin(answer);
        cursor = answer.cursor;
      }
    } catch {
      if (!this.#attempt.signal.aborted) this.#attempt.on_lost({});
    }
  }

  /** One poll; `null` if the server refused it. */
  async #ask(cursor) {
    const { base, rooms, user_id, session_id, signal } = this.#attempt;
    const url = new URL(`poll/${client_id}`, base);
    for (const room of rooms) url.searchParams.append("room", room);
    url.searchParams.set("user_id", user_id);
    url.searchParams.set("batch", BATCH_FRAMES);
    // The first one only introduces the client, so that it knows at once that it is in.
    const hold_s = cursor === null ? 0 : HOLD_S;
    url.searchParams.set("timeout_s", hold_s);
    if (session_id) url.searchParams.set("session_id", session_id);
    if (cursor !== null) url.searchParams.set("cursor", cursor);
    const timeout = AbortSignal.timeout(hold_s * 1_000 + ANSWER_TIMEOUT_MS);
    const response = await fetch(url, { signal: AbortSignal.any([signal, timeout]) });
    if (!response.ok) {
      this.#refused(response.status, await response.json());
      return null;
    }
    return { ...(await response.json()), node: response.headers.get("Tidings-Node") };
  }

  async #begin({ session_id, node }) {
    const { base, rooms, signal, on_frame, on_lost } = this.#attempt;
    // The polls that follow are this session's, also when it is a new one.
    this.#attempt.session_id = session_id;
    const answered = (frame) => {
      this.#silence.heard();
      this.#catch_up.pass(frame);
    };
    this.#speaker = new Speaker({ base, session_id, after: this.#catch_up.done, signal, on_frame: answered, on_lost });
    // Being in these rooms already changes nothing; the answer says from where on messages follow. One after the other, and
    // before anything else: whoever joins while another request takes the session is told `superseded`.
    for (const room of rooms) await this.#speaker.say({ type: "join", room });
    if (!signal.aborted) on_frame({ type: "session", session_id, node });
  }

  #refused(status, { message }) {
    // What is not the server's trouble will not be better next time.
    const passes = status >= 500 || status === 429;
    this.#attempt.on_lost({ final_reason: passes ? undefined : message });
  }
}
