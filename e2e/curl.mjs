// curl, as a person types it. Gives what came back, taken apart.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** `{status, headers, body}` of a request; the body as JSON when it is. */
export async function curl(...words) {
  const { stdout } = await promisify(execFile)("curl", ["--silent", "--show-error", "--include", "--max-time", "20", ...words]);
  const [head, ...rest] = stdout.split("\r\n\r\n");
  const [status_line, ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => line.split(/: */, 2)).map(([name, value]) => [name.toLowerCase(), value]));
  const body = rest.join("\r\n\r\n");
  const is_json = headers["content-type"]?.startsWith("application/json");
  return { status: Number(status_line.split(" ")[1]), headers, body: is_json ? JSON.parse(body) : body };
}
