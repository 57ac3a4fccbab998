// What a loss or a refusal means for the client: come back, come back with another token, or stay away. One table, the same as
// docs/errors.md. Refuses to decide when; that is the backoff's.

/** How a connection or an attempt ended, as far as it is known. */
export interface Loss {
  /** A WebSocket's close code, or the one of a stream's last event. */
  code?: number;
  /** The status of an HTTP response. */
  status?: number;
  /** The `code` of an error's body or frame: the server's own word. */
  error?: string;
  /** The server's words, or this client's. */
  reason?: string;
  /** From `Retry-After`. */
  retry_after_ms?: number;
  /** The transport noticed that something on the way holds back what the server says. */
  buffered?: boolean;
}

export type Verdict = "again" | "token" | "stop";

const FINAL_CODES = [1000, 1002, 1003, 1007, 1008, 1009, 4000];

const FINAL_ERRORS =
  "bad_frame unknown_type not_supported bad_room bad_user bad_ref bad_query room_required not_in_room bad_cursor superseded forbidden " +
  "message_too_large unsupported_media_type not_found method_not_allowed bad_head head_too_large bad_handshake upgrade_required";

/** Errors that say nothing about a message: it is said again a little later. */
const PASSING_ERRORS = "rate_limited engine_unavailable restarting at_capacity";

const is_in = (list: string, word: string): boolean => list.split(" ").includes(word);

export function verdict({ code, status, error }: Loss): Verdict {
  if (error !== undefined) return is_in(FINAL_ERRORS, error) ? "stop" : "again";
  if (code === 4003 || status === 401) return "token";
  return code !== undefined && FINAL_CODES.includes(code) ? "stop" : "again";
}

export const is_passing = (error: string): boolean => is_in(PASSING_ERRORS, error);

/** Whether the server itself was reached: then nothing is wrong with the transport. */
export const is_servers_word = ({ code, error, buffered }: Loss): boolean =>
  !buffered && (error !== undefined || (code !== undefined && code !== 1005 && code !== 1006 && code !== 1015));
