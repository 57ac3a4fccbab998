// What two tabs saw of one conversation. Refuses to reach into the page: it reads the list of messages that a person reads.

import assert from "node:assert/strict";

export const TRANSPORTS = ["websocket", "sse", "poll"];

export const numbered = (word, count) => Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);
export const texts = async (tab) => (await tab.messages()).map(({ text }) => text);

const ids_of = (messages) => messages.map(({ id }) => id);

/** Both saw the same messages, each once, in the order of their ids. */
export async function assert_same_conversation(one, other, expected) {
  for (const tab of [one, other]) {
    const ids = ids_of(await tab.messages());
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b), "ids rise from top to bottom");
    assert.equal(new Set(ids).size, ids.length, "no message is there twice");
    assert.deepEqual(tab.complaints, [], "the page's code did not fail");
  }
  assert.deepEqual((await texts(one)).sort(), [...expected].sort());
  assert.deepEqual(ids_of(await one.messages()), ids_of(await other.messages()));
}
