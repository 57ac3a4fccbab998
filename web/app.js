// The page: wires its forms and buttons to one Conversation, and what that tells to the parts that show it. Refuses to hold any
// rule of messaging; those are in the client, tidings.js.

import { Cable } from "./cable.js";
import { ConnectionState } from "./connection_state.js";
import { Conversation } from "./conversation.js";
import { MessageList } from "./message_list.js";
import { present_place, remember_place } from "./place.js";
import { Presence } from "./presence.js";
import { PriceSource } from "./price_source.js";
import { Ticker, TICKER_ROOM } from "./ticker.js";
import { Typing } from "./typing.js";
import { TypingNotice } from "./typing_notice.js";

const AWAY_MS = 5_000;
const OFFLINE_MS = 10_000;
const TRANSPORTS = { __proto__: null, websocket: "WebSocket", sse: "SSE + POST", poll: "long poll" };

const at = (id) => document.getElementById(id);
const base = new URL(".", location.href).href;

let place = null;
let conversation = null;

const list = new MessageList({ scroll: at("scroll"), log: at("log"), unsent: at("unsent"), empty: at("empty"), newer: at("newer") });
const cable = new Cable();
const state = new ConnectionState({ pill: at("state"), text: at("state-text"), drop: at("drop"), offline: at("offline"), cable });
const presence = new Presence({ list: at("people"), count: at("people-count"), ask: ({ room }) => conversation.who(room) });
const typing = new Typing({ line: at("typing") });
const typing_notice = new TypingNotice({ field: at("text"), tell: (type) => conversation.typing(place.room, type === "typing_start") });
const ticker = new Ticker({ table: at("prices"), empty: at("prices-empty") });
const price_source = new PriceSource({ base });

function enter(new_place) {
  conversation?.close();
  place = new_place;
  list.clear(place.name);
  presence.clear(place);
  typing.clear(place.room);
  typing_notice.forget();
  ticker.clear();
  document.title = `${place.room} · Tidings`;
  const rooms = [...new Set([place.room, TICKER_ROOM])];
  const transport = use_transport(place.transport);
  conversation = new Conversation({ base, rooms, user: place.name, transport, cable, listener: show });
}

/** Says on the page which one is used, and remembers it. */
function use_transport(key) {
  place.transport = key in TRANSPORTS ? key : "websocket";
  remember_place(place);
  at("transports").elements.transport.value = place.transport;
  return place.transport;
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
    typing: () => (event.typing ? typing.started(event) : typing.stopped(event)),
    presence_change: () => show_presence(event),
    latency: () => {},
  }[event.type];
  const is_elsewhere = event.room !== undefined && event.room !== place.room;
  if (is_elsewhere) event.type === "message" && ticker.take(event.message);
  else if (act) act();
  else presence.take(event);
  show_facts();
}

function show_facts() {
  // The conversation tells its first state while it is made.
  at("cursor").textContent = conversation?.position(place.room) ?? 0;
  const latency_ms = conversation?.latency_ms ?? null;
  at("latency").textContent = latency_ms === null ? "–" : `${latency_ms} ms`;
}

function show_message({ room, message, missed }) {
  if (room === TICKER_ROOM) ticker.take(message);
  typing.stopped({ room, user_id: message.user });
  list.add(message, missed);
}

function show_presence({ room, joined, left, total }) {
  if (total !== null) return presence.take({ type: "presence_changed", room, users: total });
  for (const user_id of joined) presence.take({ type: "user_joined", room, user_id });
  for (const user_id of left) presence.take({ type: "user_left", room, user_id });
}

function show_session({ session_id, node }) {
  at("node").textContent = node ?? "–";
  // Its beginning is enough to recognise it; the whole is a key.
  at("session").textContent = session_id.slice(0, 8);
}

function show_state(event) {
  state.show(event);
  at("transport-name").textContent = TRANSPORTS[event.transport];
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

at("transports").addEventListener("change", ({ target }) => conversation.switch_to(use_transport(target.value)));

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  list.add_unsent(conversation.send(place.room, text));
  at("text").value = "";
  typing_notice.forget();
});

at("drop").addEventListener("click", () => {
  if (state.is_waiting) conversation.open();
  else conversation.drop(AWAY_MS);
});

at("offline").addEventListener("click", () => {
  if (cable.silent_until === null) cable.fall_silent(OFFLINE_MS);
  else cable.mend();
});

at("restart").addEventListener("click", () => conversation.restart());

at("publish").addEventListener("click", () => {
  if (price_source.is_running) price_source.stop();
  else price_source.start();
  at("publish").textContent = price_source.is_running ? "Stop the ticker" : "Start the ticker";
  at("publish-note").textContent = price_source.is_running
    ? "This tab makes up the prices and publishes four a second."
    : "If started here, this tab makes up the prices and publishes them.";
});

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
