// What a machine is made with, what happens to it and what it commands: docs/client-spec.md in types. Refuses to hold any rule.

import { backoff_defaults, type BackoffOptions } from "./backoff.js";
import type { ClientFrame, MessageFrame, ServerFrame } from "./frames.js";
import type { Loss } from "./verdict.js";

export type Phase = "idle" | "connecting" | "live" | "waiting" | "closed";

export interface MachineOptions extends BackoffOptions {
  /** From the one that is wanted most to the last resort. */
  transports: string[];
  /** The one that worked last time. */
  remembered: string | null;
  rooms: Record<string, number | null>;
  /** A session to go on with, that another machine had. */
  session_id: string | null;
  user_id: string | null;
  /** Whether a token has to be asked for before connecting. */
  has_token: boolean;
  /** Time for an attempt to bring a session; with another transport to try, and with none. */
  probe_ms: number;
  attempt_ms: number;
  /** Time for an answer to a ping, usually and when there is cause for doubt. */
  answer_ms: number;
  doubt_ms: number;
  /** No two attempts that an event brings forward are closer than this. */
  eager_ms: number;
  queue_max: number;
  /** Within this time a message may be said again under its `ref`. */
  repeat_ms: number;
  resend_ms: number;
  typing_ms: number;
  climb_ms: number;
  climb_longest_ms: number;
  token_margin_ms: number;
  token_retry_ms: number;
}

export const machine_defaults: MachineOptions = {
  ...backoff_defaults,
  transports: ["websocket"],
  remembered: null,
  rooms: {},
  session_id: null,
  user_id: null,
  has_token: false,
  probe_ms: 5_000,
  attempt_ms: 10_000,
  answer_ms: 10_000,
  doubt_ms: 3_000,
  eager_ms: 1_000,
  queue_max: 100,
  repeat_ms: 240_000,
  resend_ms: 1_000,
  typing_ms: 3_000,
  climb_ms: 60_000,
  climb_longest_ms: 600_000,
  token_margin_ms: 60_000,
  token_retry_ms: 5_000,
};

export type MachineEvent =
  | { type: "open" | "close" | "tick" | "heard" | "doubt" | "nudge" | "token_failed" }
  | { type: "interrupt"; wait_ms: number }
  | { type: "use"; transports: string[] }
  | { type: "join"; room: string; after?: number | null }
  | { type: "leave"; room: string }
  | { type: "send"; ref: string; frame: ClientFrame; said_at?: number | null }
  | { type: "withdraw"; ref: string }
  | { type: "mention"; frame: ClientFrame }
  | { type: "typing" | "typing_stop"; room: string }
  | { type: "frame"; frame: ServerFrame }
  | ({ type: "lost" } & Loss)
  | { type: "token"; token: string; expires_at_ms?: number | null }
  | { type: "probed"; transport: string; ok: boolean };

export interface StateTold {
  type: "state";
  state: Phase;
  transport: string;
  retry_in_ms?: number;
  reason?: string;
  code?: string | number;
}

/** What the application is told. `after` is the position before, `position` the one after it. */
export type Told =
  | StateTold
  | { type: "session"; session_id: string; resumed: boolean; node: string | null }
  | { type: "message"; room: string; message: MessageFrame; recovered: boolean; after: number }
  | { type: "restored"; room: string; messages: number; recovered: boolean; after: number; position: number }
  | { type: "gap"; room: string; after: number; before: number | null; reason: string }
  | { type: "joined"; room: string; position: number }
  | { type: "left"; room: string }
  | { type: "ack"; ref: string; id: number }
  | { type: "answer"; ref: string; frame: ServerFrame }
  | { type: "refused"; ref: string; code: string; message: string }
  | { type: "error"; code: string; message: string; room?: string }
  | { type: "restart"; reconnect_after_ms: number }
  | { type: "frame"; frame: ServerFrame };

export type Command =
  | { do: "connect"; transport: string; hello: ClientFrame }
  | { do: "drop" | "ask_token" }
  | { do: "say"; frame: ClientFrame }
  | { do: "probe" | "remember"; transport: string }
  | { do: "tell"; event: Told };
