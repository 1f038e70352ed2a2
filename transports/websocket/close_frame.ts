/** The payload of a close frame: RFC 6455, sections 5.5.1 and 7.4. */

import { FrameError, MAX_CONTROL } from "./frame.ts";
import { WebSocketClose } from "../../core/mux/message_socket.ts";

/** Code and reason as a payload; a reason that does not fit is cut between two characters. */
export function encodeClose(code: number, reason: string): Uint8Array {
  const payload = new Uint8Array(MAX_CONTROL);
  new DataView(payload.buffer).setUint16(0, code);
  const { written } = new TextEncoder().encodeInto(reason, payload.subarray(2));
  return payload.subarray(0, 2 + written);
}

/**
 * Code and reason; 1005 stands for a payload without any (section 7.4.1).
 *
 * @throws {FrameError} for a code that must not be sent, or a reason that is not UTF-8
 */
export function decodeClose(payload: Uint8Array): { code: number; reason: string } {
  if (payload.length === 0) return { code: 1005, reason: "" };
  const code = payload[0]! << 8 | (payload[1] ?? 0);
  if (payload.length === 1 || !mayBeSent(code)) {
    throw new FrameError(WebSocketClose.protocol, "a close frame has no valid code");
  }
  try {
    const reason = new TextDecoder("utf-8", { fatal: true }).decode(payload.subarray(2));
    return { code, reason };
  } catch {
    // The decoder has nothing to add.
    throw new FrameError(WebSocketClose.badText, "the reason of a close frame is not UTF-8");
  }
}

/** Section 7.4.2, and the registry of codes up to 1014. */
function mayBeSent(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
