/** The relay's half of the datagrams of a session: it sends probes back, and takes note of wishes. */

import { Bucket } from "../../core/bucket.ts";
import { type Datagrams, decode, Kind } from "./datagram.ts";

/** Datagrams of a member that are answered; a client sends 200 probes a second. */
const ANSWERS = { perSecond: 300, burst: 600 };
/** Milliseconds for which a wish holds, if nobody comes. */
const WISH_HOLDS = 2_000;

/** Whose datagrams they are. One object and no functions of its own: a relay has thousands of them. */
export interface Asker {
  /** Asked for each datagram: those of strangers are misuse. */
  readonly isMember: boolean;
  /** The next connection from there is to bear loss. Once a session. */
  wished(): void;
  /** Something came that cannot be. */
  misused(): void;
}

/**
 * Answers until the connection ends. Never rejects.
 *
 * @param now milliseconds from any beginning, never less than before; by default the machine's
 */
export async function answerDatagrams(
  conn: Datagrams,
  asker: Asker,
  now: () => number = machineTime,
): Promise<void> {
  // Most who are here send none.
  let bucket: Bucket | undefined;
  let hasWished = false;
  try {
    for (;;) {
      const datagram = await conn.readDatagram();
      const message = decode(datagram);
      bucket ??= new Bucket(ANSWERS, now);
      if (!message || !asker.isMember || !bucket.take()) return asker.misused();
      if (message.kind === Kind.wish && !hasWished) {
        hasWished = true;
        asker.wished();
      }
      await conn.sendDatagram(datagram);
    }
  } catch {
    // The connection has ended, as its owner sees.
  }
}

function machineTime(): number {
  return performance.now();
}

/**
 * Who has wished, by address. Deno's QUIC shows nothing of a connection before it is accepted, and
 * how it reacts to loss is fixed by then: so whoever comes while a wish waits gets what was wished.
 */
export class Wishes {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  /** @param now milliseconds from any beginning, never less than before */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether the next connection is to bear loss. */
  get pending(): boolean {
    const now = this.#now();
    for (const [hostname, until] of this.#until) if (until <= now) this.#until.delete(hostname);
    return this.#until.size > 0;
  }

  add(hostname: string): void {
    this.#until.set(hostname, this.#now() + WISH_HOLDS);
  }

  /** A connection from there has been accepted. */
  grant(hostname: string): void {
    this.#until.delete(hostname);
  }
}
