// A chat. The client comes back by itself, misses nothing, and says once what was typed while there was no connection.

import { Tidings } from "./tidings.js";

const [people, state, log, typing, form, text] = ["people", "state", "log", "typing", "form", "text"].map((id) => document.getElementById(id));
const query = new URLSearchParams(location.search);
const user = query.get("user") ?? `guest ${Math.floor(Math.random() * 1_000)}`;

const client = new Tidings(query.get("server") ?? "http://127.0.0.1:8080", { user });
const room = client.room("chat", { after: 0 }); // 0: all that the server keeps

client.on("state", (told) => (state.textContent = told.state === "live" ? `live over ${told.transport}` : told.state));

room.on("message", (message) => {
  show(message.text, message.user, message.user === user ? "own" : "");
  if (message.user !== user) typing.textContent = "";
});
room.on("gap", () => show("Some messages are lost: the server keeps them no longer.", "", "note"));
room.on("typing", (told) => (typing.textContent = told.typing ? `${told.user} is typing…` : ""));
room.on("presence", show_people);
client.on("session", show_people);

text.addEventListener("input", () => (text.value ? room.typing() : room.stop_typing())); // at every key: it is said every few seconds

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  const sending = room.send(text.value); // waits while there is no connection
  const waiting = show(text.value, "", "own waiting");
  text.value = "";
  try {
    await sending; // it is stored, and comes as a message like everybody's
    waiting.remove();
  } catch (error) {
    waiting.className = "note";
    waiting.textContent = `Not sent: ${error.message}`;
  }
});

async function show_people() {
  const { users } = await room.presence();
  people.textContent = users.map(({ user_id }) => user_id).join(", ");
}

function show(words, author, className) {
  const line = Object.assign(document.createElement("li"), { className });
  if (author) line.append(Object.assign(document.createElement("b"), { textContent: author }));
  line.append(words);
  log.append(line);
  line.scrollIntoView();
  return line;
}
