/** What ends a connection of HTTP/3: a code of RFC 9114, RFC 9204, RFC 9297 or the WebTransport draft. */

import { TunnelError } from "../../core/errors.ts";

/** Error codes: RFC 9114 (8.1), RFC 9204 (6), RFC 9297 (5.2). */
export const Http3Code = {
  datagramError: 0x33,
  noError: 0x100,
  streamCreationError: 0x103,
  closedCriticalStream: 0x104,
  frameUnexpected: 0x105,
  frameError: 0x106,
  excessiveLoad: 0x107,
  idError: 0x108,
  settingsError: 0x109,
  missingSettings: 0x10a,
  messageError: 0x10e,
  qpackDecompressionFailed: 0x200,
  qpackEncoderStreamError: 0x201,
  qpackDecoderStreamError: 0x202,
} as const;

/** The peer has broken a rule; the connection ends with this code. */
export class Http3Error extends TunnelError {
  readonly http3Code: number;

  constructor(http3Code: number, state: string, cause?: unknown) {
    super("protocol", { action: "speak HTTP/3", state, cause });
    this.http3Code = http3Code;
  }
}
