// The package `tidings`: a client with all transports.

import { Client, type Options } from "./client.js";
import { poll } from "./poll.js";
import { SharedConnection } from "./shared/browser.js";
import { sse } from "./sse.js";
import { websocket } from "./websocket.js";

export * from "./public.js";

/** A client of the server at `url` (`https://…`, or `wss://…`), over whichever transport works. */
export class Tidings extends Client {
  constructor(url: string, options: Options = {}) {
    super(url, options, { websocket: websocket(options.WebSocket), sse, poll }, SharedConnection);
  }
}
