// One room, as the application sees it. Owned by its client, which does all the work. Refuses to keep messages: what nobody listens
// for is gone, but for an iteration that is under way.

import { Listeners, type Unsubscribe } from "./events.js";
import type { Json, ServerFrame } from "./frames.js";

/** A message of a room: one of `text`, `data` and `bytes`. */
export interface Message {
  id: number;
  room: string;
  /** Who published it, if that is known. */
  user?: string;
  key?: string;
  text?: string;
  data?: Json;
  bytes?: Uint8Array;
  /** It was missed at first and came from the room's log. */
  recovered: boolean;
  /** When it was stored, to the microsecond of which its id is made. */
  at: Date;
}

/** Messages with `after` < id < `before` may be lost to this client; `before` is `null` where nobody knows. */
export interface Gap {
  room: string;
  after: number;
  before: number | null;
  reason: "expired" | "overflow" | "rolled_back" | (string & {});
}

export interface Typing {
  room: string;
  user: string;
  typing: boolean;
}

/** Somebody came or went. In big rooms only `total` is told, and some of the names. */
export interface PresenceChange {
  room: string;
  joined: string[];
  left: string[];
  total: number | null;
}

/** Who is in a room. */
export interface Presence {
  users: { user_id: string; connections: number }[];
  total: number;
  /** Whether `users` are all. */
  complete: boolean;
}

export interface History {
  messages: Message[];
  complete: boolean;
}

export interface RoomEvents {
  message: Message;
  typing: Typing;
  presence: PresenceChange;
  gap: Gap;
  /** The client came back to the room: so many messages it had missed. */
  restored: { room: string; messages: number; recovered: boolean };
  joined: { room: string };
  left: { room: string };
  error: { code: string; message: string; room?: string };
}

/** What a room asks of its client. */
export interface Voice {
  request(frame: { type: string; room: string; [field: string]: unknown }): Promise<ServerFrame>;
  typing(room: string, goes_on: boolean): void;
  position(room: string): number | null;
  leave(room: string): void;
}

export interface SendOptions {
  /** What the message is about: in rooms that keep only the newest, it replaces the one before of the same key. */
  key?: string;
}

export class Room implements AsyncIterable<Message> {
  /** For the client alone. */
  readonly listeners = new Listeners<RoomEvents>();

  constructor(
    readonly name: string,
    private readonly voice: Voice,
  ) {}

  /** The id of the last message delivered; `null` until the server has said where the room begins. */
  get position(): number | null {
    return this.voice.position(this.name);
  }

  on<Name extends keyof RoomEvents>(name: Name, listener: (event: RoomEvents[Name]) => void): Unsubscribe {
    return this.listeners.on(name, listener);
  }

  /**
   * Publishes text, or any other JSON, and gives the message's id once it is stored. While there is no connection it waits. Rejects with
   * a `TidingsError`: `queue_full`, `outcome_unknown` (the session ended before the answer came), `closed`, or the server's refusal.
   */
  async send(content: Json, options: SendOptions = {}): Promise<number> {
    const said = typeof content === "string" ? { text: content } : { data: content };
    const ack = await this.voice.request({ type: "message", room: this.name, ...said, ...options });
    return ack.id!;
  }

  /** Tells the room that the user types. Call it at every key; it is said every few seconds. */
  typing(): void {
    this.voice.typing(this.name, true);
  }

  /** Tells that it ceased, if it was told that it began. Sending does that by itself. */
  stop_typing(): void {
    this.voice.typing(this.name, false);
  }

  /** Who is here; `after` is the last user of the page before. */
  async presence(after?: string): Promise<Presence> {
    const answer = await this.voice.request({ type: "presence", room: this.name, ...(after === undefined ? {} : { after }) });
    return { users: answer.users as Presence["users"], total: answer.total!, complete: answer.complete! };
  }

  /** At most `limit` messages after a position. */
  async history({ after = 0, limit = 100 }: { after?: number; limit?: number } = {}): Promise<History> {
    const { messages = [], complete = false } = await this.voice.request({ type: "history", room: this.name, after, limit });
    return { messages: messages.map((message) => as_message(this.name, message, true)), complete };
  }

  leave(): void {
    this.voice.leave(this.name);
  }

  /** The messages from now on. Ends with the room; a reader that is 10,000 messages behind gets an error instead of a silent loss. */
  async *[Symbol.asyncIterator](): AsyncIterator<Message> {
    const waiting: Message[] = [];
    let wake = (): void => {};
    let has_ended = false;
    let is_behind = false;
    const ends = [
      this.on("message", (message) => {
        if (waiting.length >= 10_000) is_behind = true;
        else waiting.push(message);
        wake();
      }),
      this.on("left", () => {
        has_ended = true;
        wake();
      }),
    ];
    try {
      for (;;) {
        const message = waiting.shift();
        if (message) yield message;
        else if (is_behind) throw new Error(`The reader of room "${this.name}" is 10,000 messages behind: read on from the history.`);
        else if (has_ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      for (const end of ends) end();
    }
  }
}

export function as_message(room: string, frame: { id: number; user_id?: string; key?: string; text?: string; data?: Json; data_base64?: string }, recovered: boolean): Message {
  const { id, user_id, key, text, data, data_base64 } = frame;
  return {
    id,
    room,
    ...(user_id === undefined ? {} : { user: user_id }),
    ...(key === undefined ? {} : { key }),
    ...(text === undefined ? {} : { text }),
    ...(data === undefined ? {} : { data }),
    ...(data_base64 === undefined ? {} : { bytes: Uint8Array.from(atob(data_base64), (byte) => byte.charCodeAt(0)) }),
    recovered,
    at: new Date(id / 1_000),
  };
}
