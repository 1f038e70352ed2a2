/** What goes wrong with a signed-in session, as its member is told. */

import { TunnelError } from "./errors.ts";
import { CloseCode, type CloseInfo } from "./transport.ts";

/** What a close by the relay means to a client. */
export function endOf(info: CloseInfo, action: string): TunnelError {
  const state = info.reason || "the relay closed it";
  switch (info.code) {
    case CloseCode.replaced:
      return new TunnelError("replaced", {
        action,
        state,
        remedy: "let one process run with one device's credential",
      });
    case CloseCode.refused:
      return new TunnelError("refused", { action, state });
    case CloseCode.limit:
      return new TunnelError("limit", { action, state, remedy: "try again later" });
    default:
      return new TunnelError("closed", { action, state });
  }
}

/** A relay names more devices than are taken of it. */
export function tooMany(most: number): TunnelError {
  return new TunnelError("limit", {
    action: "list devices",
    state: `the relay names more than ${most}`,
  });
}

/** The relay's answer is not one to the question. */
export function unasked(): TunnelError {
  return new TunnelError("protocol", {
    action: "hear the relay",
    state: "its answer is of another kind than the question",
  });
}
