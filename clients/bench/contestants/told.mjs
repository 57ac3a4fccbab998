// How a contestant program speaks with the one who started it; see ../contestant.mjs. Owns stdin and stdout.

import { createInterface } from "node:readline";

export const task = JSON.parse(process.argv.at(-1));

export const tell = (seat, ...entry) => process.stdout.write(`${JSON.stringify([seat, ...entry])}\n`);

/** Calls `say(text)` again and again until it is told to hush. Nobody speaks at the same moment as another. */
export function speak(name, say) {
  let count = 0;
  const next = () => {
    if (is_hushed) return;
    say(`${name} ${count++}`);
    setTimeout(next, task.say_ms);
  };
  setTimeout(next, Math.random() * task.say_ms);
}

let is_hushed = false;
createInterface({ input: process.stdin })
  .on("line", () => (is_hushed = true))
  .on("close", () => process.exit());
