// A session over server-sent events: one `fetch` whose body is the stream, and POSTs to speak. Refuses `EventSource`, which tells
// neither statuses nor comments, and comes back by itself, in step with everybody else.

import type { ClientFrame, ServerFrame } from "./frames.js";
import { CatchUp, query_of, refusal, Speaker } from "./http.js";
import type { Attempt, Link, Transport } from "./transport.js";

/** So long the client's own message may take to come on the stream once it was acknowledged. */
const ECHO_MS = 5_000;
/** The server sends a comment after `ping_interval_ms` of silence; so much later, the stream is dead or held back. */
const GRACE_MS = 10_000;

export const sse: Transport = { is_there: () => typeof fetch === "function" && typeof ReadableStream === "function", connect, probe };

function connect(attempt: Attempt): Link {
  const abort = new AbortController();
  const { signal } = abort;
  const catch_up = new CatchUp(attempt, signal);
  const watch = new Watch((reason) => attempt.lost({ buffered: true, reason }), signal);
  let speaker: Speaker | undefined;

  const answered = (frame: ServerFrame): void => {
    if (frame.type === "ack" && rooms_are_read(attempt.hello, frame.room)) watch.expect_bytes(ECHO_MS);
    catch_up.pass(frame);
  };
  const receive = (frame: ServerFrame): void => {
    if (frame.type === "session") {
      speaker = new Speaker(attempt, frame.session_id!, signal, catch_up.done, answered);
      watch.interval_ms = (frame.ping_interval_ms ?? 25_000) + GRACE_MS;
    }
    // The code and the reason that a WebSocket would be closed with.
    if (frame.type === "close") attempt.lost({ code: Number(frame.code), ...(frame.reason ? { reason: frame.reason } : {}) });
    else catch_up.pass(frame);
  };

  const url = query_of(attempt.hello, new URL("events", attempt.base));
  void read(url, attempt, signal, receive, () => {
    watch.bytes();
    attempt.heard();
  });
  return {
    // The stream ends by itself after `server_restart`.
    say: (frame) => void (frame.type === "restart_ack" || speaker?.say(frame)),
    drop: () => abort.abort(),
  };
}

const rooms_are_read = ({ rooms, positions }: ClientFrame, room = ""): boolean =>
  ((rooms as string[] | undefined) ?? []).includes(room) || room in ((positions as object | undefined) ?? {});

async function read(url: URL, attempt: Attempt, signal: AbortSignal, receive: (frame: ServerFrame) => void, heard: () => void): Promise<void> {
  try {
    const response = await fetch(url, { headers: { ...attempt.headers, Accept: "text/event-stream" }, cache: "no-store", signal });
    if (!response.ok || !response.body) return attempt.lost(await refusal(response));
    const lines = new Lines();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (done) break;
      heard();
      for (const frame of lines.take(value)) {
        receive(frame);
        if (signal.aborted) return;
      }
    }
  } catch {
    // Said below: nothing tells why a stream broke.
  }
  if (!signal.aborted) attempt.lost({});
}

/** The stream's bytes as frames: the JSON of each event's `data`. */
class Lines {
  #decoder = new TextDecoder();
  #rest = "";
  #data: string[] = [];

  *take(bytes: Uint8Array): Generator<ServerFrame> {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      if (line !== "" || this.#data.length === 0) continue;
      const text = this.#data.join("\n");
      this.#data = [];
      yield JSON.parse(text);
    }
  }
}

/** Notices that the stream is silent for too long. */
class Watch {
  interval_ms = Infinity;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #echo: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly give_up: (reason: string) => void,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.#clear());
  }

  bytes(): void {
    this.#clear();
    if (this.interval_ms < Infinity) this.#silence = setTimeout(() => this.give_up("The event stream went silent."), this.interval_ms);
  }

  expect_bytes(ms: number): void {
    this.#echo ??= setTimeout(() => this.give_up("Something on the way holds the event stream back."), ms);
  }

  #clear(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#echo);
    this.#echo = undefined;
  }
}

/** A guest's stream: what counts is that its first bytes come. */
async function probe(base: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(new URL("events", base), { cache: "no-store", signal });
    const first = await response.body?.getReader().read();
    return response.ok && first?.done === false;
  } catch {
    return false;
  }
}
