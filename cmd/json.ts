/** JSON for terminals and for programs. */

/**
 * A value as JSON in which nothing steers a terminal: what a peer has said may be in it, and JSON by
 * itself lets some control characters stand (RFC 8259, section 7).
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/[^\n\P{Cc}]|\p{Cf}/gu, (char) => {
    const units = Array.from({ length: char.length }, (_, i) => char.charCodeAt(i));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}
