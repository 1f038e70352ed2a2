/** Errors as refusals on the wire, and back. */

import * as v from "valibot";
import { RefusalCode, type Refused } from "./control.ts";
import { describe, TunnelError } from "./errors.ts";

/** What the peer is told of an error: nothing of ours unless it is meant for a reader. */
export function toRefusal(error: unknown): Refused {
  if (error instanceof TunnelError && v.is(RefusalCode, error.code)) {
    const { state, remedy } = error.parts;
    const { code } = error;
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
