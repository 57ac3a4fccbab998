// Where one is and as whom: room and name, kept in the address so that a reload or a shared link leads back, and in
// localStorage so that a new tab starts in the same room. Refuses to know about connections.

const BIRDS = ["avocet", "curlew", "dunlin", "heron", "knot", "lapwing", "plover", "redshank", "sanderling", "swift", "tern", "wren"];

/** @returns {{room: string, name: string}} from the address, else from the last visit, else made up. */
export function present_place() {
  const address = new URLSearchParams(location.hash.slice(1));
  return {
    room: address.get("room") || localStorage.getItem("tidings.room") || "lobby",
    // Names are not carried from tab to tab: two tabs side by side are two people.
    name: address.get("name") || made_up_name(),
  };
}

export function remember_place({ room, name }) {
  localStorage.setItem("tidings.room", room);
  history.replaceState(null, "", `#${new URLSearchParams({ room, name })}`);
}

function made_up_name() {
  const [bird, number] = crypto.getRandomValues(new Uint8Array(2));
  return `${BIRDS[bird % BIRDS.length]}-${10 + (number % 90)}`;
}
