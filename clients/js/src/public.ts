// What both entries of the package export beside `Tidings`.

export { TidingsError, type ClientEvents, type Options, type RoomOptions, type State } from "./client.js";
export type { TokenSource } from "./driver.js";
export type { Unsubscribe } from "./events.js";
export type { Json, ServerFrame } from "./frames.js";
export type { Phase } from "./words.js";
export type { Gap, History, Message, Presence, PresenceChange, Room, RoomEvents, SendOptions, Typing } from "./room.js";
export type { WebSocketConstructor, WebSocketLike } from "./websocket.js";
export type { Role } from "./shared/tab.js";
