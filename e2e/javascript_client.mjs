// The package `tidings` as its build made it, for tests: clients that are closed when their test ends. Refuses to reach into it.

import { pathToFileURL } from "node:url";
import { join } from "node:path";

import { load, repository } from "./places.mjs";
import { Arrivals } from "./wait.mjs";

const { Tidings } = await import(pathToFileURL(join(repository, "clients/js/dist/tidings.js")));

export { Tidings };

/** A client of the server at `url`, with what it was told as queues: `states`, and per room `messages` and `gaps`. */
export function open_client(t, url, options = {}) {
  const client = new Tidings(url, { WebSocket: load("ws"), ...options });
  t.after(() => client.close());
  client.states = new Arrivals();
  client.on("state", (state) => client.states.push(state));
  return client;
}

export function open_room(client, name, options) {
  const room = client.room(name, options);
  room.messages = [];
  room.gaps = [];
  room.on("message", (message) => room.messages.push(message));
  room.on("gap", (gap) => room.gaps.push(gap));
  return room;
}

export const is = (state, transport) => (told) => told.state === state && (transport === undefined || told.transport === transport);
