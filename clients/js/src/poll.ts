// A session over long polls, each with the cursor that the one before answered, and POSTs to speak. Refuses to go on after an
// error: the machine pauses and begins anew.

import type { ServerFrame } from "./frames.js";
import { CatchUp, query_of, refusal, rooms_of, Speaker, within } from "./http.js";
import { random_hex } from "./random.js";
import type { Attempt, Link, Transport } from "./transport.js";

const BATCH_FRAMES = 50;
const HOLD_S = 25;
/** Longer than a poll is held: whoever has one under way need not ask for a sign of life. */
const SILENCE_MS = 40_000;
const ANSWER_TIMEOUT_MS = 10_000;

interface Answer {
  data: ServerFrame[];
  cursor: string | null;
  session_id: string;
  node: string | null;
}

export const poll: Transport = { is_there: () => typeof fetch === "function", connect, probe };

function connect(attempt: Attempt): Link {
  const abort = new AbortController();
  const link = new Polls(attempt, abort.signal);
  void link.run();
  return {
    say: (frame) => void (frame.type === "restart_ack" || link.speaker?.say(frame)),
    drop: () => abort.abort(),
  };
}

class Polls {
  speaker: Speaker | undefined;
  #catch_up: CatchUp;
  // A name for this link's polls, so that the server knows that a newer one takes the place of an older one.
  #client_id = random_hex();
  #session_id: string | undefined;

  constructor(
    private readonly attempt: Attempt,
    private readonly signal: AbortSignal,
  ) {
    this.#catch_up = new CatchUp(attempt, signal);
    this.#session_id = attempt.hello.session_id as string | undefined;
  }

  async run(): Promise<void> {
    try {
      for (let cursor: string | null | undefined; ; ) {
        const answer = await this.#ask(cursor);
        if (!answer || this.signal.aborted) return;
        this.attempt.heard();
        for (const frame of answer.data) this.#catch_up.pass(frame);
        if (cursor === undefined) await this.#begin(answer);
        cursor = answer.cursor;
      }
    } catch {
      if (!this.signal.aborted) this.attempt.lost({});
    }
  }

  /** One poll; `null` if it was refused. The first one only introduces the client, so that it knows at once that it is in. */
  async #ask(cursor: string | null | undefined): Promise<Answer | null> {
    const { base, hello, headers } = this.attempt;
    const hold_s = cursor === undefined ? 0 : HOLD_S;
    const url = query_of({ ...hello, session_id: this.#session_id }, new URL(`poll/${this.#client_id}?batch=${BATCH_FRAMES}&timeout_s=${hold_s}`, base));
    if (cursor) url.searchParams.set("cursor", cursor);
    const signal = within(this.signal, hold_s * 1_000 + ANSWER_TIMEOUT_MS);
    const response = await fetch(url, { headers, cache: "no-store", signal });
    if (!response.ok) {
      if (!this.signal.aborted) this.attempt.lost(await refusal(response));
      return null;
    }
    return { ...(await response.json()), node: response.headers.get("Tidings-Node") };
  }

  async #begin({ session_id, node }: Answer): Promise<void> {
    const resumed = session_id === this.#session_id;
    this.#session_id = session_id;
    this.speaker = new Speaker(this.attempt, session_id, this.signal, this.#catch_up.done, (frame) => this.#catch_up.pass(frame));
    // The session is told before anything that is in it. Being in these rooms already changes nothing; the answer says from where
    // on messages follow. One after the other: whoever joins while another request takes the session is told `superseded`.
    const rooms = rooms_of(this.attempt.hello);
    this.#catch_up.pass({ type: "session", session_id, resumed, rooms: rooms.length > 0 ? rooms : ["lobby"], ping_interval_ms: SILENCE_MS, ...(node === null ? {} : { node }) });
    const known = (this.attempt.hello.positions ?? {}) as object;
    for (const room of rooms) if (room in known) void this.speaker.say({ type: "join", room });
    await this.speaker.last;
  }
}

/** Whether the server is reached at all; a poll that answers at once. */
async function probe(base: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(new URL(`poll/${random_hex()}?timeout_s=0`, base), { signal }).catch(() => null);
  return response?.ok === true;
}
