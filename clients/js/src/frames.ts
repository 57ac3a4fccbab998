// The frames of docs/protocol.md as types, as far as this client says and reads them. Frames it does not know pass through.

/** Any JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A frame that the client says. */
export interface ClientFrame {
  type: string;
  ref?: string;
  room?: string;
  [field: string]: unknown;
}

/** A stored message as it comes over the wire. */
export interface MessageFrame {
  room?: string;
  id: number;
  user_id?: string;
  key?: string;
  text?: string;
  data?: Json;
  data_base64?: string;
}

/** A frame that the server says; which fields there are depends on `type`. */
export interface ServerFrame extends Partial<MessageFrame> {
  type: string;
  ref?: string;
  session_id?: string;
  resumed?: boolean;
  node?: string;
  rooms?: string[];
  ping_interval_ms?: number;
  messages?: MessageFrame[];
  last_message_id?: number;
  recovered?: boolean;
  complete?: boolean;
  after?: number;
  before?: number | null;
  reason?: string;
  code?: string;
  message?: string;
  reconnect_after_ms?: number;
  users?: unknown;
  total?: number;
}
