// Judges what clients saw by what the rooms' logs have. Pure: books and logs go in, figures come out.

const NONE = Object.freeze({
  cuts: 0, due: 0, delivered: 0, lost_unsaid: 0, lost_told: 0, twice: 0, out_of_order: 0, gaps: 0,
  said: 0, acknowledged: 0, acknowledged_twice: 0, wrongly_acknowledged: 0, refused: 0, stored: 0, stored_twice: 0, acknowledged_and_lost: 0,
});

/**
 * One client: its book, its room's log, and when its cable was `{cut_ms, mended_ms}`. Due is all that the log has from the first message
 * on that the client got. Only a cut that met a client that was back counts.
 */
export function judge(book, name, log, cuts) {
  return { ...judge_reading(book, log), ...judge_speaking(book, name, log), ...judge_cuts(book, cuts) };
}

function judge_reading({ got, gaps }, log) {
  const ids = got.map(({ id }) => id);
  const seen = new Set(ids);
  const due = log.filter(({ id }) => id >= (ids[0] ?? Infinity));
  const missing = due.filter(({ id }) => !seen.has(id));
  const told = missing.filter(({ id }) => gaps.some(({ after, before }) => after < id && id < (before ?? Infinity)));
  let newest = 0;
  let out_of_order = 0;
  const before = new Set();
  for (const id of ids) {
    if (id < newest && !before.has(id)) out_of_order += 1;
    newest = Math.max(newest, id);
    before.add(id);
  }
  return {
    due: due.length,
    delivered: due.length - missing.length,
    lost_unsaid: missing.length - told.length,
    lost_told: told.length,
    twice: ids.length - seen.size,
    out_of_order,
    gaps: gaps.length,
  };
}

function judge_speaking({ said }, name, log) {
  const stored = new Map();
  for (const { id, text, user_id } of log) if (user_id === name) stored.set(text, [...(stored.get(text) ?? []), id]);
  const count = (fits) => [...said].filter(([text, { acknowledged, refused }]) => fits(acknowledged, stored.get(text) ?? [], refused)).length;
  return {
    said: said.size,
    acknowledged: count((acknowledged) => acknowledged.length > 0),
    acknowledged_twice: count((acknowledged) => acknowledged.length > 1),
    // Under an id that the message does not have.
    wrongly_acknowledged: count((acknowledged, ids) => ids.length > 0 && acknowledged.some((id) => !ids.includes(id))),
    refused: count((_, __, refused) => refused.length > 0),
    stored: count((_, ids) => ids.length > 0),
    stored_twice: count((_, ids) => ids.length > 1),
    acknowledged_and_lost: count((acknowledged, ids) => acknowledged.length > 0 && ids.length === 0),
  };
}

function judge_cuts({ got }, cuts) {
  const came = (from_ms, to_ms) => got.find(({ at_ms }) => from_ms <= at_ms && at_ms < to_ms);
  const met = cuts.filter(({ cut_ms }, index) => came(cuts[index - 1]?.mended_ms ?? 0, cut_ms));
  // Also where the next cut came first: whoever is slow to come back is measured as well.
  const back_ms = met.flatMap(({ mended_ms }) => {
    const first = came(mended_ms, Infinity);
    return first ? [first.at_ms - mended_ms] : [];
  });
  return { cuts: met.length, back_ms };
}

/** The figures of several clients as one. */
export function sum(figures) {
  const total = { ...NONE, back_ms: [] };
  for (const one of figures) {
    for (const name of Object.keys(NONE)) total[name] += one[name];
    total.back_ms.push(...one.back_ms);
  }
  const sorted = total.back_ms.sort((a, b) => a - b);
  const rank = (part) => (sorted.length === 0 ? null : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]));
  return { ...total, delivered_percent: total.due === 0 ? null : (100 * total.delivered) / total.due, back_ms: { p50: rank(0.5), p95: rank(0.95), most: rank(1) } };
}

/** What a client of ours must never do. */
export function faults({ lost_unsaid, twice, out_of_order, acknowledged_twice, wrongly_acknowledged, stored_twice, acknowledged_and_lost, said, acknowledged, refused }) {
  return lost_unsaid + twice + out_of_order + acknowledged_twice + wrongly_acknowledged + stored_twice + acknowledged_and_lost + (said - acknowledged - refused);
}
