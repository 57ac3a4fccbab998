// The page: wires form, buttons and connection state to one Connection and one MessageList. Refuses to hold any rule of
// messaging; those are in connection.js.

import { Connection } from "./connection.js";
import { MessageList } from "./message_list.js";
import { present_place, remember_place } from "./place.js";
import { UNSENT_MAX } from "./unsent.js";

const AWAY_MS = 5_000;
const SUSPICION_MS = 3_000;

const at = (id) => document.getElementById(id);
const list = new MessageList({ scroll: at("scroll"), log: at("log"), unsent: at("unsent"), empty: at("empty"), newer: at("newer") });

let connection = null;
let countdown = null;

function enter(place) {
  connection?.close();
  remember_place(place);
  list.clear(place.name);
  document.title = `${place.room} · Tidings`;
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  connection = new Connection({ url: url.href, room: place.room, user_id: place.name, listener: show });
  connection.open();
}

function show(event) {
  const act = {
    state: () => show_state(event),
    session: () => show_session(event),
    message: () => list.add(event.message, event.recovered),
    restored: () => list.add_note(event.messages === 1 ? "1 missed message recovered" : `${event.messages} missed messages recovered`),
    gap: () => list.add_gap(event),
    ack: () => list.acknowledge(event.ref, event.id),
    refused: () => list.refuse(event.ref, event.reason),
    notice: () => list.add_note(event.reason),
  }[event.type];
  act();
  at("cursor").textContent = connection.cursor;
}

function show_session({ session_id, node }) {
  at("node").textContent = node ?? "–";
  // Its beginning is enough to recognise it; the whole is a key.
  at("session").textContent = session_id.slice(0, 8);
}

function show_state({ state, retry_at, reason }) {
  clearInterval(countdown);
  at("state").dataset.state = state;
  at("drop").textContent = state === "live" || state === "connecting" ? "Drop my connection" : "Reconnect";
  if (retry_at === undefined) {
    at("state-text").textContent = state === "closed" ? "offline" : state;
    if (reason) list.add_note(reason);
    return;
  }
  const count_down = () => {
    const seconds = Math.max(0, Math.ceil((retry_at - Date.now()) / 1_000));
    const cause = navigator.onLine ? "" : "offline, ";
    at("state-text").textContent = `${cause}${state === "away" ? "dropped, back" : "reconnecting"} in ${seconds} s`;
  };
  count_down();
  countdown = setInterval(count_down, 250);
}

at("place").addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ room: at("room").value.trim() || "lobby", name: at("name").value.trim() || present_place().name });
  at("text").focus();
});

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  const message = connection.send(text);
  if (!message) {
    list.add_note(`${UNSENT_MAX} messages wait to be sent already. Send this one when the connection is back.`);
    return;
  }
  list.add_unsent(message);
  at("text").value = "";
});

at("drop").addEventListener("click", () => {
  if (at("drop").textContent === "Reconnect") connection.open();
  else connection.drop(AWAY_MS);
});

// `navigator.onLine` is only a hint, and says nothing about a server on this very machine: ask the server instead.
for (const name of ["online", "offline"]) addEventListener(name, () => connection.suspect(SUSPICION_MS));
document.addEventListener("visibilitychange", () => document.hidden || connection.suspect(SUSPICION_MS));

function enter_present_place() {
  const place = present_place();
  at("room").value = place.room;
  at("name").value = place.name;
  enter(place);
}

addEventListener("hashchange", enter_present_place);
enter_present_place();
at("text").focus();
