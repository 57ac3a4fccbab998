// What a page of a room's history proves. Pure. Refuses to take silence for completeness.

import type { ServerFrame } from "./frames.js";

/**
 * Whether something between the position `after` and `before`, where the page begins if that is known, may be lost. A page that is incomplete only because it is full says so in the
 * same word. Position 0 asks for all there is, and has lost nothing.
 */
export const is_loss = ({ complete }: ServerFrame, after: number, before: number | null): boolean =>
  !complete && after > 0 && (before === null || before > after + 1);
