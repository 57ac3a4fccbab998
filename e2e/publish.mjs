// Publishes as a backend would, by plain HTTP.

import { curl } from "./curl.mjs";

/** Publishes a text to a room; gives its id. */
export async function publish(server, room, text) {
  const words = ["-H", "content-type: application/json", "-d", JSON.stringify({ text })];
  const { body } = await curl(...words, `${server.url}/rooms/${room}/messages`);
  return body.id;
}

/** Publishes texts one after the other; gives their ids. */
export async function publish_all(server, room, texts) {
  const ids = [];
  for (const text of texts) ids.push(await publish(server, room, text));
  return ids;
}
