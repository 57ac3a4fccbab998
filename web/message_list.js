// The list of messages on the page: what was delivered, in order, and below it what still waits to be sent. Owns both lists'
// elements and the scroll position; keeps at most SHOWN_MAX entries. Refuses to know how messages come and go.

const SHOWN_MAX = 500;
const GROUP_WITHIN_MS = 3 * 60_000;
const NEAR_END_PX = 80;

const GAP_REASONS = {
  expired: "the server no longer keeps them",
  overflow: "the connection could not keep up",
  rolled_back: "the server lost its history",
};

const clock_format = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class MessageList {
  #name = "";
  #last = null;
  #is_at_end = true;

  constructor({ scroll, log, unsent, empty, newer }) {
    Object.assign(this, { scroll, log, unsent, empty, newer });
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A keyboard on the screen, or an unfolded ticker, takes its room from the newest messages otherwise.
    new ResizeObserver(() => this.#is_at_end && this.scroll_to_end()).observe(scroll);
    newer.addEventListener("click", () => this.scroll_to_end());
  }

  /** Empties the lists for another room or another name. */
  clear(name) {
    this.#name = name;
    this.#last = null;
    this.log.replaceChildren();
    this.unsent.replaceChildren();
    this.empty.hidden = false;
  }

  add(message, recovered) {
    const at_ms = message.id / 1_000;
    const author = message.user ?? "guest";
    const own = this.#take_stored(message.id) || author === this.#name;
    const row = make("li", "message");
    row.dataset.id = message.id;
    row.classList.toggle("own", own);
    row.classList.toggle("recovered", recovered);
    row.classList.toggle("follows", this.#follows(author, at_ms, recovered));
    row.append(byline(author, at_ms), bubble(message), tail(message.id, own, recovered));
    this.#last = { author, at_ms, recovered };
    this.#append(row);
  }

  /** A line of the page itself between the messages. */
  add_note(text, kind = "note") {
    const row = make("li", kind);
    row.append(make("span", "", text));
    this.#last = null;
    this.#append(row);
  }

  /** A gap goes where it lies: before the first message that surely follows it. */
  add_gap({ after, before, reason }) {
    const which = after === 0 ? `before ${before}` : `between ${after} and ${before}`;
    this.add_note(`Messages ${which} may be lost: ${GAP_REASONS[reason] ?? reason}.`, "gap");
    const next = Array.from(this.log.querySelectorAll(".message")).find((row) => Number(row.dataset.id) >= before);
    next?.classList.remove("follows");
    next?.before(this.log.lastElementChild);
  }

  add_unsent({ ref, text }) {
    const row = make("li", "message own waiting");
    row.dataset.ref = ref;
    row.append(make("div", "bubble", text), make("small", "tail", "waiting to be sent"));
    this.unsent.append(row);
    this.empty.hidden = true;
    this.scroll_to_end();
  }

  /** The server stored a message of ours. It stays among the unsent until its own copy comes, which may be here already. */
  acknowledge(ref, id) {
    const waiting = this.#unsent_row(ref);
    const delivered = this.log.querySelector(`[data-id="${id}"]`);
    if (delivered) {
      delivered.classList.add("own");
      delivered.querySelector(".tick").hidden = false;
    }
    if (!waiting || delivered || id <= this.#newest_id()) {
      waiting?.remove();
      return;
    }
    waiting.dataset.id = id;
    waiting.classList.replace("waiting", "stored");
    waiting.querySelector(".tail").textContent = "✓ stored";
  }

  refuse(ref, reason) {
    const row = this.#unsent_row(ref);
    if (!row) return;
    row.classList.replace("waiting", "refused");
    row.querySelector(".tail").textContent = `not sent: ${reason}`;
  }

  scroll_to_end() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.newer.hidden = true;
  }

  /** Removes what was stored up to this id; says whether the message of this id was among it. */
  #take_stored(id) {
    let found = false;
    for (const row of this.unsent.querySelectorAll(".stored")) {
      if (Number(row.dataset.id) > id) continue;
      found ||= Number(row.dataset.id) === id;
      row.remove();
    }
    return found;
  }

  #newest_id() {
    return Number(Array.from(this.log.querySelectorAll(".message")).at(-1)?.dataset.id ?? 0);
  }

  #unsent_row(ref) {
    return this.unsent.querySelector(`[data-ref="${CSS.escape(ref)}"]`);
  }

  #follows(author, at_ms, recovered) {
    const last = this.#last;
    return last?.author === author && last.recovered === recovered && at_ms - last.at_ms < GROUP_WITHIN_MS;
  }

  #scrolled() {
    this.#is_at_end = this.#near_end();
    if (this.#is_at_end) this.newer.hidden = true;
  }

  #near_end() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #append(row) {
    const stay = this.#near_end();
    this.log.append(row);
    while (this.log.childElementCount > SHOWN_MAX) this.log.firstElementChild.remove();
    this.empty.hidden = true;
    if (stay) this.scroll_to_end();
    else this.newer.hidden = false;
  }
}

function byline(author, at_ms) {
  const line = make("div", "byline");
  const time = make("time", "", clock_format.format(at_ms));
  time.dateTime = new Date(at_ms).toISOString();
  const name = make("b", "", author);
  name.style.setProperty("--hue", hue(author));
  line.append(name, time);
  return line;
}

function bubble(message) {
  if (message.text !== undefined) return make("div", "bubble", message.text);
  if (message.data !== undefined) return make("div", "bubble data", JSON.stringify(message.data, null, 2));
  return make("div", "bubble data", `${message.bytes?.length ?? 0} bytes`);
}

function tail(id, own, recovered) {
  const line = make("small", "tail");
  if (recovered) line.append(make("span", "badge", "recovered"));
  const tick = make("span", "tick", "✓");
  tick.title = "stored by the server";
  tick.hidden = !own;
  line.append(make("code", "id", String(id)), tick);
  return line;
}

// The same name has the same colour on every screen.
function hue(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}
