/** The engine's byte connections as the platform's streams, and the other way round. */

import { BlockReader } from "./block_reader.ts";
import type { Duplex } from "./duplex.ts";
import { toTunnelError } from "./errors.ts";

/** Both directions of a connection as streams of bytes. */
export interface ByteStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * A connection as streams. Closing `writable` ends the outgoing direction alone; cancelling
 * `readable`, or aborting `writable`, resets both. Nothing is read before it is asked for, and one
 * write at a time is under way.
 */
export function toStreams(duplex: Duplex): ByteStreams {
  const action = "use the stream";
  /** What was read and did not fit into a reader's own memory. */
  let rest: Uint8Array | null = null;
  const source: UnderlyingByteSource = {
    type: "bytes",
    async pull(controller) {
      const chunk = rest ?? await duplex.read();
      const { byobRequest } = controller;
      rest = null;
      if (chunk === null) {
        controller.close();
        return byobRequest?.respond(0);
      }
      // The next read of the connection overwrites what this one gave.
      if (!byobRequest) return controller.enqueue(chunk.slice());
      const { buffer, byteOffset, byteLength } = byobRequest.view!;
      const taken = chunk.subarray(0, byteLength);
      new Uint8Array(buffer, byteOffset, byteLength).set(taken);
      if (taken.length < chunk.length) rest = chunk.subarray(taken.length);
      byobRequest.respond(taken.length);
    },
    cancel: (reason) => duplex.reset(toTunnelError(reason, action, "reset")),
  };
  const readable = new ReadableStream(source, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => duplex.write(chunk),
    close: () => duplex.closeWrite(),
    abort: (reason) => duplex.reset(toTunnelError(reason, action, "reset")),
  });
  return { readable, writable };
}

/** Streams as a connection. Its reset aborts the one and cancels the other. */
export function fromStreams({ readable, writable }: ByteStreams): Duplex {
  const reader = new BlockReader({ readable });
  const writer = writable.getWriter();
  writer.closed.catch(() => {}); // Seen by the write that meets it.
  return {
    read: () => reader.read(),
    write: (bytes) => writer.write(bytes.slice()),
    closeWrite: () => writer.close(),
    reset(error) {
      writer.abort(error).catch(() => {}); // It has failed already.
      reader.cancel(error);
    },
  };
}
