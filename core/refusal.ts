/** Errors as refusals on the wire, and back. */

import type { Refused } from "./control.ts";
import { describe, TunnelError } from "./errors.ts";

const CODES = new Set<string>([
  "refused",
  "unknown",
  "offline",
  "target",
  "timeout",
  "limit",
  "protocol",
  "unavailable",
]);

/** What the peer is told of an error: nothing of ours unless it is meant for a reader. */
export function toRefusal(error: unknown): Refused {
  if (error instanceof TunnelError && CODES.has(error.code)) {
    const { state, remedy } = error.parts;
    const code = error.code as Refused["code"];
    return { type: "refused", code, state: cut(describe(state)), remedy: remedy && cut(remedy) };
  }
  return { type: "refused", code: "unavailable", state: "it failed for a reason of its own" };
}

export function fromRefusal(refusal: Refused, action: string): TunnelError {
  const { code, state, remedy } = refusal;
  return new TunnelError(code, { action, state, remedy });
}

function cut(text: string): string {
  return text.slice(0, 300);
}
