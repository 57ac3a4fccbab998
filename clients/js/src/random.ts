// Chance: names that nobody else has.

/** 64 random bits. `crypto.randomUUID` is missing on plain http beyond localhost. */
export function random_hex(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
