// Where one is and as whom: room, name and transport, kept in the address so that a reload or a shared link leads back, and
// the room in localStorage too, so that a new tab starts in the same one. Refuses to know about connections.

const BIRDS = ["avocet", "curlew", "dunlin", "heron", "knot", "lapwing", "plover", "redshank", "sanderling", "swift", "tern", "wren"];
const USUAL_TRANSPORT = "websocket";

/** @returns {{room: string, name: string, transport: string}} from the address, else from the last visit, else made up. */
export function present_place() {
  const address = new URLSearchParams(location.hash.slice(1));
  return {
    room: address.get("room") || localStorage.getItem("tidings.room") || "lobby",
    // Names are not carried from tab to tab: two tabs side by side are two people.
    name: address.get("name") || made_up_name(),
    transport: address.get("transport") || USUAL_TRANSPORT,
  };
}

export function remember_place({ room, name, transport }) {
  localStorage.setItem("tidings.room", room);
  const address = new URLSearchParams({ room, name });
  if (transport !== USUAL_TRANSPORT) address.set("transport", transport);
  history.replaceState(null, "", `#${address}`);
}

function made_up_name() {
  const [bird, number] = crypto.getRandomValues(new Uint8Array(2));
  return `${BIRDS[bird % BIRDS.length]}-${10 + (number % 90)}`;
}
