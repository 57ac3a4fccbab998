// Runs one machine in the real world: its transports, its timers, its tokens, and what the browser says of the network. Owns the
// link that is up. Refuses to decide anything; the machine does.

import type { ServerFrame } from "./frames.js";
import { Machine } from "./machine.js";
import type { Link, Transport } from "./transport.js";
import type { Loss } from "./verdict.js";
import type { Command, MachineEvent, MachineOptions, Told } from "./words.js";

/** Gives the token, now or later. */
export type TokenSource = () => string | Promise<string>;

export interface DriverOptions {
  base: string;
  machine: Partial<MachineOptions>;
  transports: Record<string, Transport>;
  token: TokenSource | undefined;
  /** Whether the transport that worked is kept for the next start. */
  remember: boolean;
  tell: (event: Told) => void;
}

/** What the client speaks through: a driver of its own, or what several tabs share. */
export interface Connection {
  handle(event: MachineEvent): void;
  /** Where this client stands in a room. */
  position(room: string): number | null;
  /** How long the server took to answer a ping last, in milliseconds. */
  readonly latency_ms: number | null;
}

/** A connection whose machine can be looked at. */
export interface Engine extends Connection {
  readonly machine: Machine;
}

const PROBE_MS = 5_000;
/** How often the clock is looked at, to notice that the machine slept. */
const WATCH_MS = 5_000;

export class Driver implements Engine {
  readonly machine: Machine;
  #commands: Command[] = [];
  #is_running = false;
  #link: Link | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #attempt = 0;
  #pinged_at = 0;
  #listeners: [EventTarget, string, () => void][] = [];

  latency_ms: number | null = null;

  constructor(private readonly options: DriverOptions) {
    const remembered = options.machine.remembered ?? (options.remember ? recall(options.base) : null);
    const machine = { ...options.machine, remembered, has_token: options.token !== undefined };
    this.machine = new Machine(machine, Math.random, (command) => this.#commands.push(command));
  }

  position(room: string): number | null {
    return this.machine.positions.of(room);
  }

  handle(event: MachineEvent): void {
    this.machine.handle(Date.now(), event);
    // What the application does when it is told something comes here as well: its commands go behind those that are there.
    if (this.#is_running) return;
    this.#is_running = true;
    try {
      for (let command; (command = this.#commands.shift()); ) this.#obey(command);
    } finally {
      this.#is_running = false;
    }
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    const { due_ms, phase } = this.machine;
    if (due_ms < Infinity) this.#timer = setTimeout(() => this.handle({ type: "tick" }), Math.max(0, due_ms - Date.now()));
    const is_awake = phase === "live" || phase === "waiting" || phase === "connecting";
    if (is_awake !== (this.#watch !== undefined)) (is_awake ? this.#observe() : this.#ignore());
  }

  #obey(command: Command): void {
    switch (command.do) {
      case "connect": return this.#connect(command);
      case "drop": return this.#drop();
      case "say":
        if (command.frame.type === "ping") this.#pinged_at = Date.now();
        return this.#link?.say(command.frame);
      case "ask_token": return void this.#ask_token();
      case "probe": return void this.#probe(command.transport);
      case "remember": return this.options.remember ? remember(this.options.base, command.transport) : undefined;
      case "tell": return this.options.tell(command.event);
    }
  }

  #connect({ transport, hello }: { transport: string; hello: Parameters<Link["say"]>[0] }): void {
    let is_lost = false;
    let link: Link | undefined;
    const present = (act: () => void): void => void (!is_lost && (link === undefined || link === this.#link) && act());
    const lost = (loss: Loss): void =>
      present(() => {
        is_lost = true;
        this.handle({ ...loss, type: "lost" });
      });
    // What it gave up may arrive through a proxy after what it does now: the server knows by this which is the newer.
    this.#attempt = Math.max(this.#attempt + 1, Date.now());
    const headers: Record<string, string> = hello.token ? { Authorization: `Bearer ${hello.token as string}` } : {};
    try {
      link = this.options.transports[transport]!.connect({
        base: this.options.base,
        hello: { ...hello, attempt: this.#attempt },
        headers,
        frame: (frame) => present(() => this.#frame(frame)),
        heard: () => present(() => this.handle({ type: "heard" })),
        lost,
      });
      this.#link = link;
    } catch (error) {
      setTimeout(() => lost({ reason: String(error) }));
    }
  }

  #frame(frame: ServerFrame): void {
    if (frame.type === "pong" && this.#pinged_at > 0) {
      this.latency_ms = Date.now() - this.#pinged_at;
      this.#pinged_at = 0;
    }
    this.handle({ type: "frame", frame });
  }

  #drop(): void {
    const link = this.#link;
    this.#link = null;
    link?.drop();
  }

  async #ask_token(): Promise<void> {
    try {
      const token = await this.options.token!();
      const expires_at_ms = expiry(token);
      this.handle({ type: "token", token, expires_at_ms });
    } catch {
      this.handle({ type: "token_failed" });
    }
  }

  async #probe(transport: string): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PROBE_MS);
    let ok = false;
    try {
      ok = await this.options.transports[transport]!.probe(this.options.base, abort.signal);
    } catch {
      // It does not work, then.
    }
    clearTimeout(timer);
    abort.abort();
    this.handle({ type: "probed", transport, ok });
  }

  // --- what the surrounding says

  #observe(): void {
    let looked_at = Date.now();
    this.#watch = setInterval(() => {
      const slept_ms = Date.now() - looked_at - WATCH_MS;
      looked_at = Date.now();
      if (slept_ms > WATCH_MS) this.handle({ type: "nudge" });
    }, WATCH_MS);
    // Node.js must not be kept running by a look at the clock.
    (this.#watch as { unref?: () => void }).unref?.();
    this.#listen(globalThis, "online", () => this.handle({ type: "nudge" }));
    this.#listen(globalThis, "offline", () => this.handle({ type: "doubt" }));
    const page = (globalThis as { document?: Document }).document;
    if (page) this.#listen(page, "visibilitychange", () => page.visibilityState === "visible" && this.handle({ type: "nudge" }));
  }

  #listen(target: unknown, type: string, act: () => void): void {
    if (typeof (target as EventTarget).addEventListener !== "function") return;
    (target as EventTarget).addEventListener(type, act);
    this.#listeners.push([target as EventTarget, type, act]);
  }

  #ignore(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    for (const [target, type, act] of this.#listeners.splice(0)) target.removeEventListener(type, act);
  }
}

/** When a JWT expires; `null` for any other token, or one that does not tell. */
export function expiry(token: string): number | null {
  try {
    const claims = JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
    return typeof claims.exp === "number" ? claims.exp * 1_000 : null;
  } catch {
    return null;
  }
}

// Storage may be missing, or forbidden: then nothing is remembered.
const storage = (): Storage | undefined => {
  try {
    return (globalThis as { localStorage?: Storage }).localStorage;
  } catch {
    return undefined;
  }
};

const recall = (base: string): string | null => storage()?.getItem(`tidings.transport ${base}`) ?? null;

function remember(base: string, transport: string): void {
  try {
    storage()?.setItem(`tidings.transport ${base}`, transport);
  } catch {
    // It is full.
  }
}
