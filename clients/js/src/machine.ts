// What the client does and when, without a socket and without a clock: events go in with the time, commands come out. It owns the
// session, the positions and the queue, which outlive every connection. docs/client-spec.md is its rule and clients/vectors its
// test. Refuses to know how a transport works, what a tab is, and what time it is.

import { Backoff } from "./backoff.js";
import type { ClientFrame, ServerFrame } from "./frames.js";
import { Places, QUIET_REF } from "./places.js";
import type { Positions } from "./positions.js";
import { Queue, type Waiting } from "./queue.js";
import { Typing } from "./typing.js";
import { is_passing, verdict, type Loss } from "./verdict.js";
import { Ways } from "./ways.js";
import { machine_defaults, type Command, type MachineEvent, type MachineOptions, type Phase, type StateTold, type Told } from "./words.js";

const NEVER = Infinity;
const REFRESH_REF = "refresh";
const USUAL_PING_INTERVAL_MS = 25_000;

export class Machine {
  phase: Phase = "idle";
  session_id: string | null;

  #options: MachineOptions;
  #backoff: Backoff;
  #queue: Queue;
  #now = 0;

  #ways: Ways;
  #places = new Places((frame) => this.#say(frame), (event) => this.#tell(event));

  #token: string | null = null;
  #is_asking = false;
  #refresh_at = NEVER;

  /** A transport is there, or is being made. */
  #is_connected = false;
  #attempted_at = -NEVER;
  #live_at = 0;
  #ping_interval_ms = USUAL_PING_INTERVAL_MS;
  #restart_ms: number | undefined;
  #is_restarting = false;
  #is_ready_for_restart = false;
  #hinted = false;
  #typing: Typing;

  #deadline = NEVER;
  #silent_at = NEVER;
  #retry_at = NEVER;
  #climb_at = NEVER;
  #resend_at = NEVER;

  constructor(
    options: Partial<MachineOptions>,
    private readonly random: () => number,
    private readonly out: (command: Command) => void,
  ) {
    this.#options = { ...machine_defaults, ...options };
    this.session_id = this.#options.session_id;
    this.#backoff = new Backoff(this.#options);
    this.#queue = new Queue(this.#options.queue_max, this.#options.repeat_ms);
    this.#ways = new Ways(this.#options);
    this.#typing = new Typing(this.#options.typing_ms);
    for (const [room, after] of Object.entries(this.#options.rooms)) this.positions.join(room, after);
  }

  get positions(): Positions {
    return this.#places.positions;
  }

  get transport(): string {
    return this.#ways.transport;
  }

  /** When `tick` is due, whatever else happens. */
  get due_ms(): number {
    const refresh_at = this.phase === "live" ? this.#refresh_at : NEVER;
    return Math.min(this.#deadline, this.#silent_at, this.#retry_at, this.#climb_at, this.#resend_at, refresh_at);
  }

  handle(now_ms: number, event: MachineEvent): void {
    this.#now = now_ms;
    switch (event.type) {
      case "open": return this.#open();
      case "close": return this.#close({});
      case "interrupt": return this.#interrupt(event.wait_ms);
      case "use": return this.#use(event.transports);
      case "tick": return this.#tick();
      case "heard": return this.#heard();
      case "doubt": return this.#doubt();
      case "nudge": return this.#nudge();
      case "join": return this.#join(event.room, event.after ?? null);
      case "leave": return this.#leave(event.room);
      case "send": return this.#send(event.ref, event.frame, event.said_at ?? null);
      case "withdraw": return void this.#queue.settle(event.ref);
      case "mention": return this.#mention(event.frame);
      case "typing": return this.#type(event.room);
      case "typing_stop": return this.#typing.ceased(event.room) ? this.#mention({ type: "typing_stop", room: event.room }) : undefined;
      case "frame": return this.#frame(event.frame);
      case "lost": return this.#lost(event);
      case "token": return this.#take_token(event.token, event.expires_at_ms ?? null);
      case "token_failed": return this.#no_token();
      case "probed": return this.#probed(event.transport, event.ok);
    }
  }

  // --- coming and going

  #open(): void {
    if (this.phase === "idle" || this.phase === "closed" || this.phase === "waiting") this.#attempt();
  }

  #attempt(): void {
    this.#quiet();
    this.#attempted_at = this.#now;
    this.#hinted = false;
    this.#tell_state("connecting");
    const { has_token, probe_ms, attempt_ms } = this.#options;
    this.#deadline = this.#now + (this.#ways.is_only ? attempt_ms : probe_ms);
    if (has_token && (this.#token === null || this.#is_asking || this.#now >= this.#refresh_at)) {
      this.#ask_token();
    } else {
      this.#connect();
    }
  }

  #connect(): void {
    const hello: ClientFrame = { type: "hello" };
    if (this.#token !== null) hello.token = this.#token;
    if (this.#options.user_id !== null) hello.user_id = this.#options.user_id;
    Object.assign(hello, this.#places.greet());
    if (this.session_id !== null) hello.session_id = this.session_id;
    this.#is_connected = true;
    this.out({ do: "connect", transport: this.transport, hello });
  }

  #settle_in(frame: ServerFrame): void {
    this.session_id = frame.session_id ?? null;
    // The answer to `refresh`: the connection goes on as it was.
    if (this.phase === "live") return;
    const resumed = frame.resumed === true;
    this.#live_at = this.#now;
    this.#deadline = NEVER;
    this.#restart_ms = undefined;
    this.#is_restarting = this.#is_ready_for_restart = false;
    this.#ping_interval_ms = frame.ping_interval_ms ?? USUAL_PING_INTERVAL_MS;
    this.#heard();
    this.out({ do: "remember", transport: this.transport });
    this.#climb_at = this.#ways.worked(this.#now);
    this.#tell({ type: "session", session_id: this.session_id ?? "", resumed, node: frame.node ?? null });
    this.#tell_state("live");
    this.#places.settle_in(frame.rooms ?? []);
    for (const entry of this.#queue.begin(resumed, this.#now)) this.#refuse_unsure(entry);
    this.#say_all();
  }

  #lost(loss: Loss): void {
    if (!this.#is_connected && this.phase !== "connecting") return;
    const lasted_ms = this.phase === "live" ? this.#now - this.#live_at : 0;
    const was_tried = this.#is_connected;
    this.#places.explain(null);
    this.#abandon();
    const then = verdict(loss);
    if (then === "stop" || (then === "token" && !this.#options.has_token)) return this.#close(loss);
    if (then === "token") this.#token = null;
    // Without a token no transport was tried.
    if (was_tried) this.#ways.failed(loss, lasted_ms, this.#restart_ms !== undefined);
    const hint_ms = this.#restart_ms ?? loss.retry_after_ms;
    this.#restart_ms = undefined;
    this.#hinted = hint_ms !== undefined;
    this.#wait(this.#backoff.lost(lasted_ms, hint_ms, this.random()), loss);
  }

  #wait(wait_ms: number, { reason, code, error }: Loss): void {
    this.#retry_at = this.#now + wait_ms;
    const word = error ?? code;
    this.#tell_state("waiting", { retry_in_ms: wait_ms, ...(reason ? { reason } : {}), ...(word === undefined ? {} : { code: word }) });
  }

  #close({ reason, code, error }: Loss): void {
    this.#abandon();
    const word = error ?? code;
    this.#tell_state("closed", { ...(reason ? { reason } : {}), ...(word === undefined ? {} : { code: word }) });
    for (const entry of this.#queue.all()) this.#refuse(entry, "closed", "The client was closed before this was answered.");
  }

  #interrupt(wait_ms: number): void {
    if (this.phase === "idle" || this.phase === "closed") return;
    this.#places.explain(null);
    this.#abandon();
    this.#hinted = true;
    this.#wait(wait_ms, {});
  }

  #abandon(): void {
    if (this.#is_connected) this.out({ do: "drop" });
    this.#is_connected = false;
    this.#quiet();
  }

  #quiet(): void {
    this.#deadline = this.#silent_at = this.#retry_at = this.#climb_at = this.#resend_at = NEVER;
  }

  // --- which transport

  /** Goes on over the first of these, with session and positions. */
  #use(transports: string[]): void {
    this.#ways.use(transports);
    if (this.phase === "idle" || this.phase === "closed") return;
    this.#places.explain(null);
    this.#abandon();
    this.#attempt();
  }

  #climb(transport: string): void {
    this.#climb_at = NEVER;
    this.out({ do: "probe", transport });
  }

  #probed(transport: string, ok: boolean): void {
    const then = this.#ways.probed(transport, ok, this.phase === "live");
    if (then === "taken") {
      this.#abandon();
      this.#attempt();
    } else if (then === "later") {
      this.#climb_at = this.#ways.worked(this.#now);
    } else if (then !== "ignored") {
      this.#climb(then.next);
    }
  }

  // --- time, and what the world says

  #tick(): void {
    const now = this.#now;
    if (this.phase === "live" && now >= this.#refresh_at) this.#ask_token();
    if (now >= this.#deadline) {
      return this.#lost({ reason: this.phase === "live" ? "The server went silent." : "No session came in time." });
    }
    if (now >= this.#retry_at) return this.#attempt();
    if (now >= this.#silent_at) this.#ask_for_life(this.#options.answer_ms);
    if (now >= this.#resend_at) this.#say_all();
    if (now >= this.#climb_at) this.#climb(this.#ways.climb());
  }

  #heard(): void {
    if (this.phase === "live") this.#deadline = NEVER;
    this.#silent_at = this.#now + this.#ping_interval_ms;
  }

  #ask_for_life(answer_ms: number): void {
    this.#silent_at = NEVER;
    this.#deadline = Math.min(this.#deadline, this.#now + answer_ms);
    this.#say({ type: "ping" });
  }

  /** There is cause to believe that the connection broke. */
  #doubt(): void {
    if (this.phase === "live") this.#ask_for_life(this.#options.doubt_ms);
  }

  /** There is cause to believe that the network is back. A pause that the server asked for is kept. */
  #nudge(): void {
    this.#doubt();
    if (this.phase !== "waiting" || this.#hinted) return;
    this.#retry_at = Math.min(this.#retry_at, Math.max(this.#now, this.#attempted_at + this.#options.eager_ms));
    this.#tick();
  }

  // --- tokens

  #ask_token(): void {
    this.#refresh_at = NEVER;
    if (this.#is_asking) return;
    this.#is_asking = true;
    this.out({ do: "ask_token" });
  }

  #take_token(token: string, expires_at_ms: number | null): void {
    this.#is_asking = false;
    this.#token = token;
    if (expires_at_ms !== null) {
      const lifetime_ms = Math.max(0, expires_at_ms - this.#now);
      this.#refresh_at = expires_at_ms - Math.min(this.#options.token_margin_ms, Math.floor(lifetime_ms / 5));
    }
    if (this.phase === "live") this.#say({ type: "refresh", token, ref: REFRESH_REF });
    else if (this.phase === "connecting" && !this.#is_connected) this.#connect();
  }

  #no_token(): void {
    this.#is_asking = false;
    if (this.phase === "connecting" && !this.#is_connected) return this.#lost({ reason: "No token could be had." });
    const { token_retry_ms } = this.#options;
    this.#refresh_at = this.#now + token_retry_ms + Math.floor(this.random() * token_retry_ms);
  }

  // --- what the application says

  #join(room: string, after: number | null): void {
    if (this.positions.join(room, after) && this.phase === "live") this.#places.join(room, after);
  }

  #leave(room: string): void {
    this.#typing.ceased(room);
    if (!this.positions.leave(room)) return;
    if (this.phase === "live") this.#places.leave(room);
    else this.#places.not_greeted(room);
  }

  #send(ref: string, frame: ClientFrame, said_at: number | null): void {
    if (this.#queue.has(ref)) return;
    const entry = this.phase === "closed" ? null : this.#queue.add(ref, { ...frame, ref }, said_at);
    if (!entry) {
      const code = this.phase === "closed" ? "closed" : "queue_full";
      return this.#refuse({ ref }, code, "It was not taken: too much waits already, or the client is closed.");
    }
    if (frame.type === "message") this.#typing.ceased(frame.room ?? "");
    if (this.phase !== "live") return;
    if (this.#queue.is_unsure(entry, true, this.#now)) this.#refuse_unsure(entry);
    // A server that restarts answers what it has; what is new waits for the next one.
    else if (!this.#is_restarting) this.#say_entry(entry);
  }

  #mention(frame: ClientFrame): void {
    if (this.phase === "live") this.#say(frame);
  }

  #type(room: string): void {
    if (this.phase === "live" && this.#typing.goes_on(room, this.#now)) this.#say({ type: "typing_start", room });
  }

  #say(frame: ClientFrame): void {
    this.out({ do: "say", frame });
  }

  #say_entry(entry: Waiting): void {
    entry.said_at ??= this.#now;
    this.#say(entry.frame);
  }

  #say_all(): void {
    this.#resend_at = NEVER;
    if (this.phase !== "live" || this.#is_restarting) return;
    for (const entry of this.#queue.all()) this.#say_entry(entry);
  }

  #refuse_unsure(entry: Waiting): void {
    this.#refuse(entry, "outcome_unknown", "The session ended before the answer came: it may be stored or not.");
  }

  #refuse({ ref }: { ref: string }, code: string, message: string): void {
    this.#queue.settle(ref);
    this.#tell({ type: "refused", ref, code, message });
  }

  // --- what the server says

  #frame(frame: ServerFrame): void {
    if (!this.#is_connected) return;
    this.#places.explain(frame);
    if (this.phase === "live") this.#heard();
    if (this.#places.frame(frame)) return;
    switch (frame.type) {
      case "session": return this.#settle_in(frame);
      case "ack": return this.#acknowledged(frame);
      case "error": return this.#refused(frame);
      case "server_restart": return this.#restart(frame.reconnect_after_ms ?? 0);
      case "pong": return;
      default: return this.#queue.settle(frame.ref) ? this.#tell({ type: "answer", ref: frame.ref!, frame }) : this.#tell({ type: "frame", frame });
    }
  }

  #acknowledged({ ref, id }: ServerFrame): void {
    if (this.#queue.settle(ref)) this.#tell({ type: "ack", ref: ref!, id: id ?? 0 });
    this.#acknowledge_restart();
  }

  #refused({ ref, code = "internal", message = "" }: ServerFrame): void {
    if (this.phase !== "live") {
      if (code === "session_unknown") this.session_id = null;
      this.#lost({ error: code, reason: message });
    } else if (ref === QUIET_REF || (ref === REFRESH_REF && code === "not_supported")) {
      // Not to be in a room is what was wanted; and the token goes along with the next hello.
    } else if (is_passing(code) && (ref === undefined || this.#queue.has(ref))) {
      this.#resend_at = Math.min(this.#resend_at, this.#now + this.#options.resend_ms);
    } else if (this.#queue.has(ref)) {
      this.#refuse({ ref: ref! }, code, message);
      this.#acknowledge_restart();
    } else {
      const room = this.#places.refused(ref);
      this.#tell({ type: "error", code, message, ...(room === undefined ? {} : { room }) });
    }
  }

  #restart(reconnect_after_ms: number): void {
    this.#restart_ms = reconnect_after_ms;
    this.#is_restarting = true;
    this.#tell({ type: "restart", reconnect_after_ms });
    this.#acknowledge_restart();
  }

  #acknowledge_restart(): void {
    if (!this.#is_restarting || this.#is_ready_for_restart || !this.#queue.is_answered) return;
    this.#is_ready_for_restart = true;
    this.#say({ type: "restart_ack" });
  }

  #tell(event: Told): void {
    this.out({ do: "tell", event });
  }

  #tell_state(state: Phase, details: Partial<StateTold> = {}): void {
    this.phase = state;
    this.#tell({ type: "state", state, transport: this.transport, ...details });
  }
}
