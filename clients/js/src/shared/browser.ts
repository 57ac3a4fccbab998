// What a tab that shares its connection has around it in a browser: the Web Lock, the BroadcastChannel, the clock, and what becomes
// of the page. Owns all of these. Refuses to decide anything; the tab does.

import { Driver, type Connection, type DriverOptions } from "../driver.js";
import type { MachineEvent } from "../words.js";
import { Tab, type Surroundings } from "./tab.js";
import type { Words } from "./words.js";

/** The machine of one tab speaks for all: each may have as much waiting as a tab alone, and together so many times as much. */
const TABS_FULL_MAX = 10;

/** The class, as a client is handed it that can share. */
export type Shared = typeof SharedConnection;

export class SharedConnection implements Connection {
  #tab: Tab;
  #channel: BroadcastChannel | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What this tab holds or waits for; another one, or none, once it does not want it. */
  #wish: AbortController | undefined;
  #let_go: (() => void) | undefined;
  #listeners = new AbortController();

  /** Tabs that give the same name share. */
  constructor(
    private readonly name: string,
    options: DriverOptions,
    entries_max: number,
  ) {
    const around: Surroundings = {
      now: Date.now,
      random: Math.random,
      post: (words) => this.#post(words),
      lock: (how) => this.#lock(how),
      alarm: (at_ms) => {
        clearTimeout(this.#timer);
        if (at_ms < Infinity) this.#timer = setTimeout(() => this.#tab.tick(), Math.max(0, at_ms - Date.now()));
      },
      drive: (machine, tell) => new Driver({ ...options, machine: { ...options.machine, ...machine, queue_max: entries_max * TABS_FULL_MAX }, tell }),
    };
    this.#tab = new Tab(around, entries_max, options.tell);
  }

  /** In browsers, on pages with an origin that came safely: elsewhere there are no locks. */
  static is_there(): boolean {
    return typeof location === "object" && location.origin !== "null" && typeof BroadcastChannel === "function" && typeof navigator?.locks?.request === "function";
  }

  get role(): Tab["role"] {
    return this.#tab.role;
  }

  get latency_ms(): number | null {
    return this.#tab.latency_ms;
  }

  position(room: string): number | null {
    return this.#tab.position(room);
  }

  handle(event: MachineEvent): void {
    if (event.type === "open" && !this.#channel) this.#begin();
    this.#tab.handle(event);
    if (event.type === "close") this.#end();
  }

  #begin(): void {
    this.#tune_in();
    this.#listeners = new AbortController();
    const listen = (target: EventTarget, type: string, act: () => void): void => target.addEventListener(type, act, { signal: this.#listeners.signal });
    const nudge = (type: "nudge" | "doubt") => (): void => {
      // The one that has the connection is told by its driver.
      if (this.#tab.role === "follower") this.#tab.handle({ type });
    };
    listen(globalThis as never, "online", nudge("nudge"));
    listen(globalThis as never, "offline", nudge("doubt"));
    if (typeof document === "undefined") return;
    listen(document, "visibilitychange", () => document.visibilityState === "visible" && nudge("nudge")());
    listen(document, "freeze", () => this.#tab.freeze());
    listen(document, "resume", () => this.#tab.resume());
    // A page with an open channel cannot be kept for the way back.
    listen(globalThis as never, "pagehide", () => {
      this.#tab.freeze();
      this.#tune_out();
    });
    listen(globalThis as never, "pageshow", () => {
      if (!this.#channel) this.#tune_in();
      this.#tab.resume();
    });
  }

  #end(): void {
    this.#listeners.abort();
    this.#tune_out();
  }

  #tune_in(): void {
    this.#channel = new BroadcastChannel(this.name);
    this.#channel.onmessage = ({ data }) => this.#tab.heard(data);
  }

  #tune_out(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #post(words: Words): void {
    try {
      this.#channel?.postMessage(words);
    } catch {
      // What an application sends may have functions in it, which JSON leaves out.
      this.#channel?.postMessage(JSON.parse(JSON.stringify(words)));
    }
  }

  #lock(how: "request" | "steal" | "release"): void {
    this.#wish?.abort();
    this.#let_go?.();
    this.#wish = this.#let_go = undefined;
    if (how === "release") return;
    const wish = new AbortController();
    this.#wish = wish;
    const hold = (): Promise<void> =>
      new Promise((resolve) => {
        if (this.#wish !== wish) return resolve();
        this.#let_go = resolve;
        this.#tab.granted();
      });
    navigator.locks.request(this.name, how === "steal" ? { steal: true } : { signal: wish.signal }, hold).catch((error) => {
      if (this.#wish !== wish) return;
      this.#wish = this.#let_go = undefined;
      if (error?.name === "AbortError") return this.#tab.robbed();
      // There are no locks to be had here, so nobody can be agreed with.
      this.#tune_out();
      this.#tab.granted();
    });
  }
}
