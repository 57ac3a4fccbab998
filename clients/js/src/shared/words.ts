// What tabs that share a connection say to each other over their channel. Refuses to carry anything that a structured clone
// would not.

import type { ClientFrame } from "../frames.js";
import type { MachineEvent, StateTold, Told } from "../words.js";

/** Rooms by name, and where the tab stands in each; `null` while it does not know. */
export type Places = Record<string, number | null>;

export type SessionTold = Extract<Told, { type: "session" }>;
export type GapTold = Extract<Told, { type: "gap" }>;

/** What a tab wants to be said and has no answer to. */
export interface Entry {
  ref: string;
  frame: ClientFrame;
  /** When it was handed to the tab with the connection. */
  handed_at: number | null;
  /** In which session it may have been said, and when first. */
  said: { session_id: string; at_ms: number } | null;
}

/** By the tab that has the connection. `epoch` rises with each such tab, `n` with each thing that it tells. */
export type LeadersWords =
  /**
   * Whoever shares, or the one tab that is named, says what it wants. `stolen`: the one before may live, and say what it was handed. `before`: the
   * last that was heard of that one.
   */
  | { type: "lead"; epoch: number; n: number; to?: string; stolen: boolean; before: { epoch: number; n: number } }
  | { type: "tell"; epoch: number; n: number; to?: string; event: Told }
  /** A sign of life. */
  | { type: "here"; epoch: number; n: number; latency_ms: number | null }
  /** Answers `enroll`. `torn` are the losses that the tab may not have heard of. */
  | { type: "welcome"; epoch: number; n: number; to: string; state: StateTold | null; session: SessionTold | null; places: Places; torn: GapTold[] };

/** By any tab, to the one that has the connection. */
export type MembersWords =
  /** All that the tab wants; what it wanted before and does not name, it does not want any more. */
  | { type: "enroll"; tab: string; places: Places; entries: Entry[]; heard_at: number }
  /** `n` rises with each since it said what it wants. */
  | { type: "do"; tab: string; n: number; event: MachineEvent }
  /** Asks for a sign of life, and is one. */
  | { type: "ask"; tab: string; n: number }
  | { type: "bye"; tab: string };

export type Words = LeadersWords | MembersWords;

/** How long a tab hears nothing before it asks whether somebody still has the connection. */
export const SILENCE_MS = 15_000;
/** Each tab asks at least so often, so that it is not forgotten. A tab in the background may run its timers once a minute. */
export const SIGN_OF_LIFE_MS = 60_000;
/** So long the answer may take; then the connection is taken over. It needs no timer of the other tab, so that a throttled one can give it. */
export const ANSWER_MS = 5_000;
/** Whoever is so late itself was not there to hear the answer, and asks again. */
export const LATE_MS = 2_000;
/** Whoever takes over waits so long for what the others want, before it connects for all of them. */
export const COUNCIL_MS = 100;
/** A tab that was not heard for so long has gone without a word. */
export const FORGET_MS = 300_000;
/** After the server said that a newer connection has the session, that one has so long to be heard. */
export const OUTRUN_MS = 5_000;
export const MEMBERS_MAX = 100;
/** Of a room, while its history is read. Beyond, they are forgotten and read from the history. */
export const HELD_MAX = 1_000;
/** As many as there can be rooms: a server that lost its logs tells of each. */
export const TORN_MAX = 128;
export const PAGE_MESSAGES = 1_000;
