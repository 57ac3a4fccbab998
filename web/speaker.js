// How a session without a WebSocket speaks: each frame is the body of `POST /sessions/{session_id}/send`, and the response is
// the frame that answers it. Messages go one at a time, because two requests at once may arrive in either order. Owned by one
// transport, which says after what the first message may go.

const ANSWER_TIMEOUT_MS = 10_000;

export class Speaker {
  #before;

  /** @param {{after: Promise<void>, base: string, session_id: string, signal: AbortSignal, on_frame: (frame: object) => void, on_lost: (loss: object) => void}} options */
  constructor({ after, ...options }) {
    this.#before = after;
    Object.assign(this, options);
  }

  /** A message waits for the ones before it; whatever else there is to say is of use only now. Fulfilled once it is answered. */
  say(frame) {
    if (frame.type !== "message") return this.#say_at_once(frame);
    this.#before = this.#before.then(() => this.#say_at_once(frame));
    return this.#before;
  }

  async #say_at_once(frame) {
    try {
      const answer = await this.#post(frame);
      // The server no longer knows the session; coming back begins a new one.
      if (answer?.code === "session_unknown") this.on_lost({});
      else if (answer) this.on_frame({ ref: frame.ref, ...answer });
    } catch {
      if (!this.signal.aborted) this.on_lost({});
    }
  }

  async #post(frame) {
    const response = await fetch(new URL(`sessions/${this.session_id}/send`, this.base), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(frame),
      signal: AbortSignal.any([this.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    // 204: nothing to say to that.
    return response.status === 204 ? null : response.json();
  }
}
