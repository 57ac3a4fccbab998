// The client, as the application sees it: rooms, promises, events. Owns its rooms and the promises that wait. Refuses to know how
// messages come and go; the machine decides and the driver does.

import { Driver, type Connection, type TokenSource } from "./driver.js";
import { Listeners, type Unsubscribe } from "./events.js";
import type { ServerFrame } from "./frames.js";
import { machine_defaults, type MachineOptions, type Phase, type StateTold, type Told } from "./words.js";
import { random_hex } from "./random.js";
import { as_message, Room, type Gap, type Message, type RoomEvents, type Voice } from "./room.js";
import type { Shared, SharedConnection } from "./shared/browser.js";
import type { Role } from "./shared/tab.js";
import type { Transport } from "./transport.js";
import type { WebSocketConstructor } from "./websocket.js";

export interface Options {
  /** Gives a token, whenever one is needed: before connecting, and before the last one expires. */
  token?: TokenSource;
  /** Under this name. Counts only while the server asks for no credentials. */
  user?: string;
  /** Which transports may be used, the one that is wanted most first. */
  transports?: ("websocket" | "sse" | "poll")[];
  /** A `WebSocket` class, for surroundings that have none, such as Node.js 20. */
  WebSocket?: WebSocketConstructor;
  /** Keep the transport that worked for the next start, in `localStorage`; usually true. */
  remember?: boolean;
  /**
   * Whether tabs share one connection: those of the same page's origin with the same address, `user`, `transports` and `share`. `false`: each has
   * its own. A name: only those that give the same one, such as whom the token is for. Left out, tabs share if it is known whose they are,
   * which a `token` without a `user` or a name does not tell.
   */
  share?: boolean | string;
  /** Connect at once; else `open` does. */
  open?: boolean;
  /** Other lengths and bounds than those of docs/client-spec.md. */
  lengths?: Partial<Omit<MachineOptions, "transports" | "rooms" | "user_id" | "has_token" | "remembered">>;
}

export interface State {
  state: Phase;
  transport: string;
  /** In state `waiting`: when the next attempt is made. */
  retry_in_ms?: number;
  reason?: string;
  code?: string | number;
}

export interface ClientEvents {
  state: State;
  session: { session_id: string; resumed: boolean; node: string | null };
  message: Message;
  gap: Gap;
  error: { code: string; message: string; room?: string };
  restart: { reconnect_after_ms: number };
  /** A frame that has no event of its own here. */
  frame: ServerFrame;
}

/** Why something that was sent was not, with a code of docs/errors.md, or `queue_full`, `outcome_unknown`, `closed`. */
export class TidingsError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message || code);
    this.name = "TidingsError";
  }
}

/** Where a room begins. */
export interface RoomOptions {
  /** A message's id: what follows it. 0: all that the server keeps. Left out: what is published from now on. */
  after?: number;
}

export class Client {
  #listeners = new Listeners<ClientEvents>();
  #rooms = new Map<string, Room>();
  #waiting = new Map<string, { resolve: (frame: ServerFrame) => void; reject: (error: Error) => void }>();
  #shared: SharedConnection | undefined;
  #connection: Connection;
  #state: State;

  /** Without `Shared`, no tabs share. */
  constructor(url: string, options: Options, transports: Record<string, Transport>, Shared?: Shared) {
    const base = as_base(url);
    const allowed = (options.transports ?? Object.keys(transports)).filter((name) => transports[name]?.is_there());
    if (allowed.length === 0) throw new TidingsError("no_transport", "None of the transports can be used here. On Node.js 20, give a WebSocket class.");
    const machine = { ...options.lengths, transports: allowed, user_id: options.user ?? null };
    this.#state = { state: "idle", transport: allowed[0]! };
    // A listener that throws is the application's fault, and must not stop the others.
    const tell = (event: Told): void => {
      try {
        this.#told(event);
      } catch (error) {
        setTimeout(() => { throw error; });
      }
    };
    const driver = { base, machine, transports, token: options.token, remember: options.remember ?? true, tell };
    const name = Shared?.is_there() ? shared_name(base, allowed, options) : null;
    this.#shared = name === null ? undefined : new Shared!(name, driver, options.lengths?.queue_max ?? machine_defaults.queue_max);
    this.#connection = this.#shared ?? new Driver(driver);
    if (options.open ?? true) queueMicrotask(() => this.#state.state === "idle" && this.open());
  }

  get state(): State {
    return this.#state;
  }

  /** Whether this tab has the connection that it shares, or hears what another one tells (`follower`); `alone` where tabs do not share. */
  get role(): "alone" | Role {
    return this.#shared?.role ?? "alone";
  }

  /** How long the server took to answer last time it was asked, in milliseconds; see `ping`. */
  get latency_ms(): number | null {
    return this.#connection.latency_ms;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): Unsubscribe {
    return this.#listeners.on(name, listener);
  }

  /** The room of this name, which is joined; the same object every time. A room `@` and one's user id has what is sent to the user. */
  room(name: string, { after }: RoomOptions = {}): Room {
    const known = this.#rooms.get(name);
    if (known) return known;
    const voice: Voice = {
      request: (frame) => this.#request(frame),
      typing: (room, goes_on) => this.#connection.handle({ type: goes_on ? "typing" : "typing_stop", room }),
      position: (room) => this.#connection.position(room),
      leave: (room) => this.#leave(room),
    };
    const room = new Room(name, voice);
    this.#rooms.set(name, room);
    this.#connection.handle({ type: "join", room: name, ...(after === undefined ? {} : { after }) });
    return room;
  }

  /** Connects, or connects again at once. Happens by itself, but for `open: false` and after `close`. */
  open(): void {
    this.#connection.handle({ type: "open" });
  }

  close(): void {
    this.#connection.handle({ type: "close" });
  }

  /** Lets go of the connection and comes back after a while: for demonstrations and tests. */
  interrupt(wait_ms: number): void {
    this.#connection.handle({ type: "interrupt", wait_ms });
  }

  /** Goes on over the first of these transports, with the same session, and misses nothing. */
  use(...transports: NonNullable<Options["transports"]>): void {
    this.#connection.handle({ type: "use", transports });
  }

  /** Asks the server for a sign of life; `latency_ms` then says how long it took. */
  ping(): void {
    this.#connection.handle({ type: "mention", frame: { type: "ping" } });
  }

  #leave(name: string): void {
    const room = this.#rooms.get(name);
    if (!this.#rooms.delete(name)) return;
    this.#connection.handle({ type: "leave", room: name });
    room!.listeners.emit("left", { room: name });
  }

  #request(frame: { type: string; room: string }): Promise<ServerFrame> {
    const ref = random_hex();
    return new Promise((resolve, reject) => {
      this.#waiting.set(ref, { resolve, reject });
      this.#connection.handle({ type: "send", ref, frame });
    });
  }

  // --- what the machine tells

  #told(event: Told): void {
    switch (event.type) {
      case "state": return this.#tell_state(event);
      case "session": return this.#listeners.emit("session", event);
      case "message": return this.#deliver(as_message(event.room, event.message, event.recovered));
      case "gap":
        this.#in_room(event.room, "gap", event);
        return this.#listeners.emit("gap", event);
      case "restored":
      case "joined": return this.#in_room(event.room, event.type, event as never);
      // The room was told when it was left.
      case "left": return;
      case "ack": return this.#settle(event.ref)?.resolve({ ...event, type: "ack" });
      case "answer": return this.#settle(event.ref)?.resolve(event.frame);
      case "refused": return this.#settle(event.ref)?.reject(new TidingsError(event.code, event.message));
      case "error":
        if (event.room !== undefined) this.#in_room(event.room, "error", event);
        return this.#listeners.emit("error", event);
      case "restart": return this.#listeners.emit("restart", event);
      case "frame": return this.#frame(event.frame);
    }
  }

  #tell_state({ type: _, ...state }: StateTold): void {
    this.#state = state;
    this.#listeners.emit("state", state);
  }

  #deliver(message: Message): void {
    this.#in_room(message.room, "message", message);
    this.#listeners.emit("message", message);
  }

  #in_room<Name extends keyof RoomEvents>(room: string, name: Name, event: RoomEvents[Name]): void {
    this.#rooms.get(room)?.listeners.emit(name, event);
  }

  #frame(frame: ServerFrame): void {
    const room = frame.room ?? "";
    const user = frame.user_id ?? "";
    switch (frame.type) {
      case "user_typing":
      case "user_stopped_typing": return this.#in_room(room, "typing", { room, user, typing: frame.type === "user_typing" });
      case "user_joined": return this.#in_room(room, "presence", { room, joined: [user], left: [], total: null });
      case "user_left": return this.#in_room(room, "presence", { room, joined: [], left: [user], total: null });
      case "presence_changed": {
        const { joined_ids = [], left_ids = [], users } = frame as { joined_ids?: string[]; left_ids?: string[]; users?: unknown };
        return this.#in_room(room, "presence", { room, joined: joined_ids, left: left_ids, total: users as number });
      }
      default: return this.#listeners.emit("frame", frame);
    }
  }

  #settle(ref: string): { resolve: (frame: ServerFrame) => void; reject: (error: Error) => void } | undefined {
    const waiting = this.#waiting.get(ref);
    this.#waiting.delete(ref);
    return waiting;
  }
}

/** What tabs have in common that share a connection; `null` if this one does not. */
function shared_name(base: string, transports: string[], { share, token, user }: Options): string | null {
  const is_known = token === undefined || user !== undefined || typeof share === "string";
  return share === false || !is_known ? null : JSON.stringify(["tidings 1", base, transports, user ?? null, share || null]);
}

/** The server's address with a slash at its end, whichever scheme it was given with. */
export function as_base(url: string): string {
  const here = (globalThis as { location?: { href: string } }).location?.href;
  const base = new URL(url, here);
  base.protocol = base.protocol.replace("ws", "http");
  base.search = base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base.href;
}
