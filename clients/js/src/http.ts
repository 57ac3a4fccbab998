// What a session over plain HTTP needs beside its stream or its polls: it speaks by POST, and it reads what it missed from the
// rooms' histories. Owned by one link. Refuses to go on after a failure: the link is lost then.

import type { ClientFrame, ServerFrame } from "./frames.js";
import { is_loss } from "./history.js";
import { is_own_room } from "./positions.js";
import { random_hex } from "./random.js";
import type { Attempt } from "./transport.js";
import type { Loss } from "./verdict.js";

const ANSWER_TIMEOUT_MS = 10_000;
const PAGE_MESSAGES = 1_000;
const HELD_FRAMES_MAX = 10_000;

/** Asks with a signal that ends with the link, or when the answer takes too long. Once it is there, nothing of this is left. */
export async function within<Answer>(signal: AbortSignal, ms: number, ask: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
  const both = new AbortController();
  const end = (): void => both.abort();
  const timer = setTimeout(end, ms);
  if (signal.aborted) end();
  else signal.addEventListener("abort", end);
  try {
    return await ask(both.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** What a response that is no success means. Only a body with a `code` is the server's own word. */
export async function refusal(response: Response): Promise<Loss> {
  const body = await response.json().catch(() => undefined);
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return {
    status: response.status,
    ...(typeof body?.code === "string" ? { error: body.code, reason: body.message } : {}),
    ...(Number.isFinite(seconds) ? { retry_after_ms: seconds * 1_000 } : {}),
  };
}

/** The rooms that a `hello` names, and the query that a stream or a poll names them with. */
export function rooms_of({ rooms = [], positions = {} }: ClientFrame): string[] {
  return [...(rooms as string[]), ...Object.keys(positions as object)].filter((room) => !is_own_room(room));
}

export function query_of(hello: ClientFrame, url: URL): URL {
  for (const room of rooms_of(hello)) url.searchParams.append("room", room);
  for (const name of ["user_id", "session_id", "attempt"]) if (hello[name]) url.searchParams.set(name, String(hello[name]));
  return url;
}

/**
 * Says frames of a session: messages one after the other, because two requests at once may arrive in either order, and joins as well,
 * because whoever joins while another request takes the session is told `superseded`. Neither waits for what is of use only now.
 */
export class Speaker {
  constructor(
    private readonly attempt: Attempt,
    private readonly session_id: string,
    private readonly signal: AbortSignal,
    /** The first message waits for this. */
    private before: Promise<unknown>,
    private readonly answered: (frame: ServerFrame) => void,
  ) {}

  /** Fulfilled once all joins so far are answered. */
  last: Promise<unknown> = Promise.resolve();

  say(frame: ClientFrame): Promise<unknown> {
    // What is asked for from now on brings the new token as well.
    if (frame.type === "refresh") this.attempt.headers.Authorization = `Bearer ${frame.token as string}`;
    const now = (): Promise<unknown> => this.#say_at_once(frame);
    if (frame.type === "message") return (this.before = this.before.then(now));
    if (frame.type === "join" || frame.type === "leave") return (this.last = this.last.then(now));
    return now();
  }

  async #say_at_once(frame: ClientFrame): Promise<void> {
    if (this.signal.aborted) return;
    try {
      const answer = await this.#post(frame);
      if (this.signal.aborted || !answer) return;
      if (answer.code === "session_unknown") this.attempt.lost({ error: answer.code });
      // A refusal by HTTP alone has no type.
      else this.answered({ ...(frame.ref ? { ref: frame.ref } : {}), ...answer, type: answer.type ?? "error" });
    } catch {
      if (!this.signal.aborted) this.attempt.lost({});
    }
  }

  #post(frame: ClientFrame): Promise<ServerFrame | null> {
    return within(this.signal, ANSWER_TIMEOUT_MS, async (signal) => {
      const headers = { ...this.attempt.headers, "Content-Type": "application/json" };
      const url = new URL(`sessions/${this.session_id}/send`, this.attempt.base);
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(frame), signal });
      return response.status === 204 ? null : response.json();
    });
  }
}

/** Brings each room from its position to where the server goes on; what comes meanwhile is held back. */
export class CatchUp {
  /** Fulfilled once all rooms are caught up. What one says then comes after what one missed. */
  readonly done: Promise<void>;
  #finish!: () => void;
  #held = new Map<string, ServerFrame[]>();
  /** Up to where the history told what is lost. */
  #told = new Map<string, number>();
  #positions: Record<string, number>;

  constructor(
    private readonly attempt: Attempt,
    private readonly signal: AbortSignal,
  ) {
    this.#positions = { ...(attempt.hello.positions as Record<string, number> | undefined) };
    this.done = new Promise((resolve) => (this.#finish = resolve));
    for (const room of Object.keys(this.#positions)) this.#held.set(room, []);
    if (this.#held.size === 0) this.#finish();
  }

  /** Takes a frame as it came: `joined` begins to catch up, and what belongs after that waits. */
  pass(frame: ServerFrame): void {
    const room = frame.room ?? "";
    const held = this.#held.get(room);
    if (frame.type === "gap" && (frame.before ?? Infinity) <= (this.#told.get(room) ?? -1)) return;
    if (frame.type === "session") {
      this.attempt.frame(frame);
      // The user's own room comes with the session: nothing tells from where on its messages follow.
      for (const own of [...this.#held.keys()].filter(is_own_room)) void this.#catch_up(own, null);
    } else if (!held) this.attempt.frame(frame);
    else if (frame.type === "joined") void this.#catch_up(room, frame.last_message_id ?? 0);
    else if (held.length < HELD_FRAMES_MAX) held.push(frame);
    else this.attempt.lost({});
  }

  async #catch_up(room: string, end: number | null): Promise<void> {
    try {
      await this.#read(room, end);
    } catch {
      if (!this.signal.aborted) this.attempt.lost({});
      return;
    }
    const held = this.#held.get(room) ?? [];
    this.#held.delete(room);
    this.#told.set(room, this.#positions[room]!);
    for (const frame of held) this.pass(frame);
    if (this.#held.size === 0) this.#finish();
  }

  /** Reads at least up to `end`, from where on messages follow by themselves; up to the last message if that is not known. */
  async #read(room: string, end: number | null): Promise<void> {
    for (;;) {
      const after = this.#positions[room]!;
      const page = await this.#page(room, after);
      const messages = page.messages ?? [];
      const stand = Math.max(after, end ?? 0);
      const before = messages[0]?.id ?? (end === null ? null : stand + 1);
      const loss = is_loss(page, after, before) ? await this.#judge(room, after, before) : null;
      const position = (this.#positions[room] = messages.at(-1)?.id ?? stand);
      if (this.signal.aborted) return;
      this.attempt.frame({ type: "restore", room, messages, last_message_id: position, recovered: !loss });
      if (loss) this.attempt.frame(loss);
      if (messages.length === 0 || (end === null ? page.complete : position >= end)) return;
    }
  }

  /**
   * A page that is merely full is as incomplete as one that lacks something. What the server makes of the position tells a poll that goes on
   * from there: its first word is the gap, if there is one. A user's own room has no polls.
   */
  async #judge(room: string, after: number, before: number | null): Promise<ServerFrame | null> {
    const told: ServerFrame = { type: "gap", room, after, before, reason: "expired" };
    if (is_own_room(room)) return told;
    const url = new URL(`poll/${random_hex()}?room=${encodeURIComponent(room)}&cursor=${after}&batch=1&timeout_s=0`, this.attempt.base);
    const { data } = await this.#get(url);
    const first: ServerFrame | undefined = (data as ServerFrame[])[0];
    return first?.type === "gap" ? first : null;
  }

  #page(room: string, after: number): Promise<ServerFrame> {
    return this.#get(new URL(`rooms/${encodeURIComponent(room)}/messages?after=${after}&limit=${PAGE_MESSAGES}`, this.attempt.base));
  }

  #get(url: URL): Promise<any> {
    return within(this.signal, ANSWER_TIMEOUT_MS, async (signal) => {
      const response = await fetch(url, { headers: this.attempt.headers, signal });
      if (response.ok) return response.json();
      // With the pause that it asks for; what is thrown then comes too late to count.
      this.attempt.lost(await refusal(response));
      throw new Error(`history: ${response.status}`);
    });
  }
}
