// Results as a table for people: a column is a name and what it shows of a result.

export function table(columns, results) {
  const rows = [Object.keys(columns), ...results.map((result) => Object.values(columns).map((show) => String(show(result) ?? "-")))];
  const widths = Object.keys(columns).map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const is_text = (column) => rows.slice(1).every((row) => !/^[-\d.]+$/.test(row[column]));
  return rows.map((row) => row.map((cell, column) => (is_text(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("  ").trimEnd()).join("\n");
}
