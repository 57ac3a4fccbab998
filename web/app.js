// The page: wires its forms and buttons to one Connection, and what the connection tells to the parts that show it. Refuses
// to hold any rule of messaging; those are in connection.js and the transports.

import { Connection } from "./connection.js";
import { ConnectionState } from "./connection_state.js";
import { MessageList } from "./message_list.js";
import { present_place, remember_place } from "./place.js";
import { PollTransport } from "./poll_transport.js";
import { Presence } from "./presence.js";
import { PriceSource } from "./price_source.js";
import { SseTransport } from "./sse_transport.js";
import { Ticker, TICKER_ROOM } from "./ticker.js";
import { Typing } from "./typing.js";
import { TypingNotice } from "./typing_notice.js";
import { UNSENT_MAX } from "./unsent.js";
import { WebSocketTransport } from "./websocket_transport.js";

const AWAY_MS = 5_000;
const SUSPICION_MS = 3_000;

const TRANSPORTS = {
  __proto__: null,
  websocket: { name: "WebSocket", connect: (attempt) => new WebSocketTransport(attempt) },
  sse: { name: "SSE + POST", connect: (attempt) => new SseTransport(attempt) },
  poll: { name: "long poll", connect: (attempt) => new PollTransport(attempt) },
};

const at = (id) => document.getElementById(id);
const base = new URL(".", location.href).href;

let place = null;
let connection = null;

const list = new MessageList({ scroll: at("scroll"), log: at("log"), unsent: at("unsent"), empty: at("empty"), newer: at("newer") });
const state = new ConnectionState({ pill: at("state"), text: at("state-text"), button: at("drop") });
const presence = new Presence({ list: at("people"), count: at("people-count"), ask: (frame) => connection.mention(frame) });
const typing = new Typing({ line: at("typing") });
const typing_notice = new TypingNotice({ field: at("text"), tell: (type) => connection.mention({ type, room: place.room }) });
const ticker = new Ticker({ table: at("prices"), empty: at("prices-empty") });
const price_source = new PriceSource({ base });

function enter(new_place) {
  connection?.close();
  place = new_place;
  list.clear(place.name);
  presence.clear(place);
  typing.clear(place.room);
  typing_notice.forget();
  ticker.clear();
  document.title = `${place.room} · Tidings`;
  const rooms = [...new Set([place.room, TICKER_ROOM])];
  const { connect } = use_transport(place.transport);
  connection = new Connection({ base, rooms, user_id: place.name, connect, listener: show });
  connection.open();
}

/** Says on the page which one is used, and remembers it. */
function use_transport(key) {
  place.transport = key in TRANSPORTS ? key : "websocket";
  remember_place(place);
  at("transports").elements.transport.value = place.transport;
  at("transport-name").textContent = TRANSPORTS[place.transport].name;
  return TRANSPORTS[place.transport];
}

function show(event) {
  const act = {
    __proto__: null,
    state: () => show_state(event),
    session: () => show_session(event),
    message: () => show_message(event),
    restored: () => list.add_note(event.messages === 1 ? "1 missed message recovered" : `${event.messages} missed messages recovered`),
    gap: () => list.add_gap(event),
    ack: () => list.acknowledge(event.ref, event.id),
    refused: () => list.refuse(event.ref, event.reason),
    notice: () => list.add_note(event.reason),
    user_typing: () => typing.started(event),
    user_stopped_typing: () => typing.stopped(event),
  }[event.type];
  const is_elsewhere = event.room !== undefined && event.room !== place.room;
  if (is_elsewhere) event.type === "message" && ticker.take(event.message);
  else if (act) act();
  else presence.take(event);
  at("cursor").textContent = connection.position(place.room);
}

function show_message({ room, message, recovered }) {
  if (room === TICKER_ROOM) ticker.take(message);
  typing.stopped({ room, user_id: message.user_id });
  list.add(message, recovered);
}

function show_session({ session_id, node }) {
  at("node").textContent = node ?? "–";
  // Its beginning is enough to recognise it; the whole is a key.
  at("session").textContent = session_id.slice(0, 8);
}

function show_state(event) {
  state.show(event);
  if (event.reason) list.add_note(event.reason);
  if (event.state === "live") presence.refresh();
  else typing.clear(place.room);
}

at("place").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = at("room").value.trim() || "lobby";
  const name = at("name").value.trim() || present_place().name;
  enter({ ...place, room, name });
  at("text").focus();
});

at("transports").addEventListener("change", ({ target }) => connection.switch_to(use_transport(target.value).connect));

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  const message = connection.send(place.room, text);
  if (!message) {
    list.add_note(`${UNSENT_MAX} messages wait to be sent already. Send this one when the connection is back.`);
    return;
  }
  list.add_unsent(message);
  at("text").value = "";
  typing_notice.forget();
});

at("drop").addEventListener("click", () => {
  if (at("drop").textContent === "Reconnect") connection.open();
  else connection.drop(AWAY_MS);
});

at("publish").addEventListener("click", () => {
  if (price_source.is_running) price_source.stop();
  else price_source.start();
  at("publish").textContent = price_source.is_running ? "Stop the ticker" : "Start the ticker";
  at("publish-note").textContent = price_source.is_running
    ? "This tab makes up the prices and publishes four a second."
    : "If started here, this tab makes up the prices and publishes them.";
});

// `navigator.onLine` is only a hint, and says nothing about a server on this very machine: ask the server instead.
for (const name of ["online", "offline"]) addEventListener(name, () => connection.suspect(SUSPICION_MS));
document.addEventListener("visibilitychange", () => document.hidden || connection.suspect(SUSPICION_MS));

function enter_present_place() {
  const present = present_place();
  at("room").value = present.room;
  at("name").value = present.name;
  enter(present);
}

// On a small screen the conversation comes first; the prices are one tap away.
at("ticker").open = matchMedia("(min-width: 60rem)").matches;

addEventListener("hashchange", enter_present_place);
enter_present_place();
at("text").focus();
