/** The request that opens a session: an extended CONNECT (RFC 9220). */

import type { Field } from "./qpack.ts";

/** The path under which a relay takes sessions. */
export const PATH = "/tunnel";
/** What names the protocol: until draft-14, and since. */
const PROTOCOLS = ["webtransport", "webtransport-h3"];

/** By these two, draft-02 agrees on itself. */
export const DRAFT_REQUEST: Field = ["sec-webtransport-http3-draft02", "1"];
export const DRAFT_RESPONSE: Field = ["sec-webtransport-http3-draft", "draft02"];

/** What a request is judged by. */
export interface Judging {
  /** Whether pages of this origin (RFC 6454, section 6.2) may have a session. */
  readonly allowsOrigin: (origin: string) => boolean;
}

export function sessionRequest(authority: string): Field[] {
  return [
    [":method", "CONNECT"],
    [":protocol", PROTOCOLS[0]!],
    [":scheme", "https"],
    [":authority", authority],
    [":path", PATH],
    DRAFT_REQUEST,
  ];
}

/**
 * The status of the answer, and whether a session was asked for: 200 says that it may be. Only
 * browsers send an origin, always, and cannot be made to send another; whoever sends none is none.
 */
export function judge(
  fields: readonly Field[],
  { allowsOrigin }: Judging,
): { status: number; isSession: boolean } {
  const all = fieldsByName(fields);
  if (!all || !isRequest(all)) return { status: 400, isSession: false };
  const isSession = all.get(":method") === "CONNECT" &&
    PROTOCOLS.includes(all.get(":protocol") ?? "");
  const origin = all.get("origin");
  return { isSession, status: statusOf() };

  function statusOf(): number {
    if (!isSession) return all!.get(":method") === "CONNECT" ? 501 : 404;
    if (all!.get(":path")!.split("?")[0] !== PATH) return 404;
    return origin === undefined || allowsOrigin(origin) ? 200 : 403;
  }
}

/** Null when the fields are malformed (RFC 9114, section 4.2 and 4.3). */
export function fieldsByName(fields: readonly Field[]): Map<string, string> | null {
  const all = new Map<string, string>();
  let isBehindPseudo = false;
  for (const [name, value] of fields) {
    const isPseudo = name.startsWith(":");
    if (isPseudo && isBehindPseudo) return null;
    isBehindPseudo = !isPseudo;
    if (!/^:?[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) return null;
    // deno-lint-ignore no-control-regex -- these are what must not be there
    if (/[\x00\r\n]|^[ \t]|[ \t]$/.test(value)) return null;
    // Of those that are looked at none may come twice; of the others the first will do.
    if (all.has(name) && (isPseudo || name === "origin" || name === "host")) return null;
    if (!all.has(name)) all.set(name, value);
  }
  return all;
}

const PSEUDO = [":method", ":scheme", ":authority", ":path", ":protocol"];

function isRequest(all: ReadonlyMap<string, string>): boolean {
  for (const name of all.keys()) {
    if (name.startsWith(":") && !PSEUDO.includes(name)) return false;
  }
  const method = all.get(":method");
  if (!method) return false;
  const has = (name: string) => (all.get(name) ?? "") !== "";
  if (all.has("host") && has(":authority") && all.get("host") !== all.get(":authority")) {
    return false;
  }
  if (method === "CONNECT" && !all.has(":protocol")) {
    return has(":authority") && !all.has(":scheme") && !all.has(":path");
  }
  if (all.has(":protocol") && method !== "CONNECT") return false;
  return has(":scheme") && has(":path") && (has(":authority") || has("host"));
}
