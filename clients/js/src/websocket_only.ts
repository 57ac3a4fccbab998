// `tidings/websocket`: a client with WebSockets alone, for those who know that these work.

import { Client, type Options } from "./client.js";
import { websocket } from "./websocket.js";

export * from "./public.js";

/** A client of the server at `url` (`https://…`, or `wss://…`), over a WebSocket. */
export class Tidings extends Client {
  constructor(url: string, options: Options = {}) {
    super(url, options, { websocket: websocket(options.WebSocket) });
  }
}
