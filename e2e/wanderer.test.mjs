// One client that changes its transport again and again while messages keep coming.

import { test } from "node:test";

import { Server } from "./server.mjs";
import { wander, Wanderer } from "./wanderer.mjs";

test("who wanders from transport to transport misses nothing and gets nothing twice", async (t) => {
  // The log must reach over the whole way, whatever the publisher's speed.
  const server = await Server.start(t, { flags: ["--room-history-messages", "100000"] });
  await wander(server, new Wanderer(server), 3);
});
