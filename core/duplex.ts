/** A byte connection as the engine sees it: a channel, a TCP socket, or stdin and stdout. */

import { toTunnelError, type TunnelError } from "./errors.ts";

/** Reads and writes settle with backpressure; each direction ends on its own. */
export interface Duplex {
  /** The next bytes, valid until the next read; null at the end. Rejects when it was reset. */
  read(): Promise<Uint8Array | null>;
  /** Settles when there is room for more; the caller may use the buffer again from then on. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the outgoing direction after everything written. */
  closeWrite(): Promise<void>;
  /** Ends both directions at once; the peer sees a reset, not an end. */
  reset(error: TunnelError): void;
}

/** A {@linkcode Duplex} whose first read is under way already. */
export interface ReadAhead extends Duplex {
  /** What has come by now, if anything; it is not read again. */
  early(): Uint8Array | undefined;
}

/** Begins to read at once: what has come by the time that the other side is there can go along. */
export function readAhead(duplex: Duplex): ReadAhead {
  let first: Promise<Uint8Array | null> | undefined = duplex.read();
  let come: Uint8Array | undefined;
  first.then((bytes) => come = bytes ?? undefined, () => {}); // The reader sees a failure.
  return {
    early() {
      const early = first && come;
      if (early) first = undefined;
      return early;
    },
    read() {
      const reading = first ?? duplex.read();
      first = undefined;
      return reading;
    },
    write: (bytes) => duplex.write(bytes),
    closeWrite: () => duplex.closeWrite(),
    reset: (error) => duplex.reset(error),
  };
}

/** Bytes that went each way. */
export interface Transferred {
  readonly sent: number;
  readonly received: number;
}

/**
 * Copies both ways until both have ended. When one side fails the other is reset.
 *
 * @param near counted as the sender
 * @throws {TunnelError} what ended it before its time
 */
export async function join(near: Duplex, far: Duplex): Promise<Transferred> {
  let failure: TunnelError | undefined;
  const fail = (cause: unknown) => {
    if (failure) return;
    failure = toTunnelError(cause, "copy", "reset");
    near.reset(failure);
    far.reset(failure);
  };
  const counted = async (from: Duplex, to: Duplex) => {
    let bytes = 0;
    try {
      for (;;) {
        const chunk = await from.read();
        if (chunk === null) break;
        await to.write(chunk);
        bytes += chunk.length;
      }
      await to.closeWrite();
    } catch (cause) {
      fail(cause);
    }
    return bytes;
  };
  const [sent, received] = await Promise.all([counted(near, far), counted(far, near)]);
  if (failure) throw failure;
  return { sent, received };
}
