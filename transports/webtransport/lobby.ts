/**
 * Where streams and datagrams go: to the session that they name. Packets may overtake each other, so
 * streams can come before their session; a few are held for it.
 */

import type { Stream } from "../../core/transport.ts";
import { refuseStream } from "../../core/arrivals.ts";
import type { WebTransportSession } from "./session.ts";

/** Streams that wait for a session; more are refused. Each may hold 1.25 MB. */
const MOST = 4;

export class Lobby {
  readonly #early: [session: bigint, stream: Stream][] = [];
  #session: WebTransportSession | undefined;

  get session(): WebTransportSession | undefined {
    return this.#session;
  }

  /** From now on it is the only one. */
  open(session: WebTransportSession): void {
    this.#session = session;
    for (const [id, stream] of this.#early.splice(0)) this.stream(id, stream);
  }

  stream(id: bigint, stream: Stream): void {
    if (this.#session?.id === id) this.#session.arrived(stream);
    else if (this.#session || this.#early.length >= MOST) refuseStream(stream);
    else this.#early.push([id, stream]);
  }

  datagram(id: bigint, payload: Uint8Array): void {
    if (this.#session?.id === id) this.#session.datagrams.receive(payload);
  }
}
