// The newest value of each key of the room `ticker`, with the way it came. Owns the table. Refuses to show every value: it
// draws once per frame whatever is newest then, as the room itself may do for slow readers. (It does where the settings give
// the room the rule `slow_consumer = "latest"`.)

const KEYS_MAX = 12;
const TRACE_VALUES_MAX = 24;
const TRACE_WIDTH = 72;
const TRACE_HEIGHT = 20;

const SVG = "http://www.w3.org/2000/svg";
const price_format = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const TICKER_ROOM = "ticker";

export class Ticker {
  /** `{values, row}` by key. */
  #entries = new Map();
  #changed = new Set();

  constructor({ table, empty }) {
    Object.assign(this, { table, empty });
  }

  clear() {
    this.#entries.clear();
    this.#changed.clear();
    this.table.replaceChildren();
    this.empty.hidden = false;
  }

  /** Takes a message of the room. One without a key, or without a price, is somebody's chat. */
  take({ key, data }) {
    const price = data?.price;
    if (key === undefined || typeof price !== "number") return;
    const entry = this.#entries.get(key) ?? this.#add(key);
    if (!entry) return;
    entry.values = [...entry.values, price].slice(-TRACE_VALUES_MAX);
    if (this.#changed.size === 0) requestAnimationFrame(() => this.#draw());
    this.#changed.add(entry);
  }

  #add(key) {
    if (this.#entries.size === KEYS_MAX) return null;
    const entry = { values: [], row: make_row(key) };
    this.#entries.set(key, entry);
    const rows = [...this.#entries].sort(([a], [b]) => a.localeCompare(b)).map(([, { row }]) => row.element);
    this.table.replaceChildren(...rows);
    this.empty.hidden = true;
    return entry;
  }

  #draw() {
    for (const { values, row } of this.#changed) {
      const [before, now] = values.length > 1 ? values.slice(-2) : [values[0], values[0]];
      row.element.dataset.way = now > before ? "up" : now < before ? "down" : "same";
      row.price.textContent = price_format.format(now);
      row.way.textContent = { up: "▲", down: "▼", same: "" }[row.element.dataset.way];
      row.trace.setAttribute("points", trace(values));
    }
    this.#changed.clear();
  }
}

function make_row(key) {
  const element = document.createElement("tr");
  const name = Object.assign(document.createElement("th"), { scope: "row", textContent: key });
  const drawing = document.createElementNS(SVG, "svg");
  const trace = document.createElementNS(SVG, "polyline");
  drawing.setAttribute("viewBox", `0 0 ${TRACE_WIDTH} ${TRACE_HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(trace);
  const middle = document.createElement("td");
  middle.append(drawing);
  const price = Object.assign(document.createElement("td"), { className: "price" });
  const way = Object.assign(document.createElement("td"), { className: "way" });
  element.append(name, middle, price, way);
  return { element, trace, price, way };
}

/** A line through the values, the newest at the right end. */
function trace(values) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const step = TRACE_WIDTH / (TRACE_VALUES_MAX - 1);
  const start = TRACE_WIDTH - (values.length - 1) * step;
  const points = values.map((value, index) => {
    const height = 1 + (1 - (value - low) / span) * (TRACE_HEIGHT - 2);
    return `${(start + index * step).toFixed(1)},${height.toFixed(1)}`;
  });
  return points.join(" ");
}
