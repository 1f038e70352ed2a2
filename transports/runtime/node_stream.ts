/** A served connection as a stream of Node, for servers that are written for its sockets. */

import { Duplex } from "node:stream";
import type { ServedStream } from "../../core/accept.ts";
import { delay } from "../../core/deadline.ts";

/** Milliseconds for which a connection that its server has done with waits for the other end's end. */
const LINGER = 5_000;

/** What is under a {@linkcode Duplex} of Node; half-open connections are kept. */
export function nodeStream(stream: ServedStream): Duplex {
  const reader = stream.readable.getReader();
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => {}); // Seen by the write that meets it.
  const settle = (work: Promise<unknown>, done: (error?: Error | null) => void) => {
    work.then(() => done(), done);
  };
  return new Duplex({
    allowHalfOpen: true,
    read() {
      reader.read().then(({ value, done }) => this.push(done ? null : value), (cause) => {
        this.destroy(cause);
      });
    },
    write: (chunk, _, done) => settle(writer.write(chunk), done),
    final: (done) => settle(writer.close(), done),
    destroy(error, done) {
      // A server that has sent all it had is done; the end of that must not overtake it.
      if (error || !this.writableFinished) stream.reset(error?.message ?? "it was closed");
      else linger(reader, stream);
      done(null);
    },
  });
}

/** Takes what still comes, unread, so that the connection ends in order. */
async function linger(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stream: ServedStream,
): Promise<void> {
  const over = new AbortController();
  delay(LINGER, over.signal).then(() => over.signal.aborted || stream.reset("it was closed"));
  try {
    while (!(await reader.read()).done);
  } catch {
    // It was reset: that is an end as well.
  } finally {
    over.abort();
  }
}
