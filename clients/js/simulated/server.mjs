// As much of a server as tabs that share a connection can tell from the real one: rooms that keep their newest messages, sessions that
// are resumed, refs that count once, restores and gaps. Refuses presence, tokens and limits.

const IDEMPOTENCY_MS = 300_000;

export class Server {
  rooms = new Map();
  sessions = new Map();
  connections = new Set();
  /** Of all messages ever stored, by room: what was promised, however little is kept. */
  stored = new Map();
  #sessions_made = 0;

  constructor(clock, kept) {
    this.clock = clock;
    this.kept = kept;
    this.kept_all = kept === Infinity;
  }

  /** A connection; `say` is called with each frame for it, `end` when the server ends it. */
  connect(say, end) {
    const connection = { say, end, session: null, rooms: new Map() };
    this.connections.add(connection);
    return connection;
  }

  disconnect(connection) {
    this.connections.delete(connection);
    if (connection.session?.connection === connection) connection.session.connection = null;
  }

  /** It dies with its logs and its sessions, and another one begins. */
  crash() {
    this.kept_all = false;
    this.rooms.clear();
    this.sessions.clear();
    for (const connection of this.connections) connection.cut({ code: 1006 });
  }

  publish(name, text) {
    const room = this.#room(name);
    const id = Math.max(room.head + 1, this.clock.now * 1_000);
    room.log.push({ type: "message", room: name, id, prev: room.head, text });
    room.head = id;
    this.stored.set(name, [...(this.stored.get(name) ?? []), { id, text }]);
    if (room.log.length > this.kept) room.log.shift();
    const { prev: _, ...frame } = room.log.at(-1);
    for (const connection of this.connections) if (connection.rooms.has(name)) connection.say({ ...frame });
    return id;
  }

  hear(connection, frame) {
    const { ref } = frame;
    switch (frame.type) {
      case "hello": return this.#hello(connection, frame);
      case "ping": return connection.say({ type: "pong" });
      case "join": return this.#join(connection, frame);
      case "leave":
        if (!connection.rooms.delete(frame.room)) return connection.say({ type: "error", code: "not_in_room", message: "", ref });
        return connection.say({ type: "left", room: frame.room, last_message_id: 0, ...(ref ? { ref } : {}) });
      case "history": return connection.say({ type: "history", room: frame.room, ref, ...this.#page(frame.room, frame.after, frame.limit) });
      case "message": return connection.say({ type: "ack", room: frame.room, ref, id: this.#once(connection.session, frame) });
    }
  }

  #room(name) {
    if (!this.rooms.has(name)) {
      const origin = this.clock.now * 1_000;
      this.rooms.set(name, { log: [], head: origin, origin });
    }
    return this.rooms.get(name);
  }

  #once(session, { room, ref, text }) {
    const known = session.refs.get(`${room} ${ref}`);
    if (known && this.clock.now < known.at + IDEMPOTENCY_MS) return known.id;
    const id = this.publish(room, text);
    session.refs.set(`${room} ${ref}`, { id, at: this.clock.now });
    return id;
  }

  #hello(connection, { session_id, rooms = [], positions = {} }) {
    const known = this.sessions.get(session_id);
    const session = known ?? { id: `s${(this.#sessions_made += 1)}`, refs: new Map(), connection: null, rooms: new Set() };
    const older = session.connection;
    session.connection = connection;
    connection.session = session;
    this.sessions.set(session.id, session);
    if (older) {
      this.disconnect(older);
      session.connection = connection;
      older.end({ code: 4000 });
    }
    for (const room of [...rooms, ...Object.keys(positions), ...session.rooms]) connection.rooms.set(room, true);
    session.rooms = new Set(connection.rooms.keys());
    connection.say({ type: "session", session_id: session.id, rooms: [...connection.rooms.keys()], resumed: known !== undefined, ping_interval_ms: 25_000 });
    for (const room of connection.rooms.keys()) if (room in positions) this.#restore(connection, room, positions[room]);
    if (known) for (const room of connection.rooms.keys()) if (!(room in positions)) this.#restore(connection, room, this.#room(room).head);
  }

  #restore(connection, room, after) {
    const { messages, complete } = this.#page(room, after, Infinity);
    const last_message_id = Math.max(after, messages.at(-1)?.id ?? this.#room(room).head);
    const recovered = complete || after === 0;
    connection.say({ type: "restore", room, messages, last_message_id, recovered });
    if (!complete && after > 0) connection.say({ type: "gap", room, after, before: messages[0]?.id ?? last_message_id + 1, reason: "expired" });
  }

  #join(connection, { room, last_message_id, ref }) {
    const head = this.#room(room).head;
    if (connection.rooms.has(room)) return connection.say({ type: "joined", room, last_message_id: head, ref });
    connection.rooms.set(room, true);
    connection.session.rooms.add(room);
    const after = last_message_id ?? head;
    connection.say({ type: "joined", room, last_message_id: after, ref, recovered: true });
    const { messages, complete } = this.#page(room, after, Infinity);
    if (!complete && after > 0) connection.say({ type: "gap", room, after, before: messages[0]?.id ?? head + 1, reason: "expired" });
    for (const message of messages) connection.say(message);
  }

  #page(name, after, limit) {
    const room = this.#room(name);
    const later = room.log.filter(({ id }) => id > after);
    const page = later.slice(0, limit);
    const before = page[0]?.prev ?? room.head;
    const complete = page.length === later.length && (before <= after || (after === 0 && before <= room.origin));
    return { messages: page.map(({ prev: _, ...frame }) => frame), complete };
  }
}
