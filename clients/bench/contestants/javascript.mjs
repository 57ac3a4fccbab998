// The JavaScript client of this repository, in Node.js.

import { Tidings } from "../../js/dist/tidings.js";
import { load } from "../../../e2e/places.mjs";
import { speak, task, tell } from "./told.mjs";

task.seats.forEach(({ url, room: name, name: user }, seat) => {
  const client = new Tidings(url, { WebSocket: load("ws"), user, transports: [task.transport], share: false });
  const room = client.room(name);
  room.on("message", ({ id }) => tell(seat, "got", id));
  room.on("gap", ({ after, before }) => tell(seat, "gap", after, before));
  speak(user, (text) => {
    tell(seat, "said", text);
    room.send(text).then(
      (id) => tell(seat, "acknowledged", text, id),
      ({ code }) => tell(seat, "refused", text, code),
    );
  });
});
