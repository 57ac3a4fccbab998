// Several nodes around one Redis.

import { start_redis } from "./redis.mjs";
import { Server } from "./server.mjs";

/** Starts so many, named `a`, `b` and so on. */
export async function start_nodes(t, count, flags = []) {
  const redis = ["--engine", "redis", "--redis", await start_redis(t)];
  const names = [..."abcdefgh"].slice(0, count);
  return Promise.all(names.map(async (name) => Object.assign(await Server.start(t, { flags: [...redis, "--node", name, ...flags] }), { name })));
}
