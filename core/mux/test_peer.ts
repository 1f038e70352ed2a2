/** A peer that says what a test tells it to, right or wrong. */

import type { Limits, Session } from "../transport.ts";
import { Batch } from "./batch.ts";
import { decodeFrames, type FrameHandler } from "./frame.ts";
import { multiplex } from "./session.ts";
import { socketPair, type TestSocket } from "./test_socket.ts";

/** A frame as the name of its handler and the values that it was given. */
export type Seen = [name: keyof FrameHandler, ...values: unknown[]];

export class TestPeer {
  readonly session: Session;
  readonly socket: TestSocket;
  readonly #seen: Seen[] = [];

  /** The session under test has the opposite role. */
  constructor(options: { role: "client" | "server"; limits?: Partial<Limits>; nagle?: boolean }) {
    const [near, far] = socketPair({ nagle: options.nagle });
    this.socket = far;
    this.session = multiplex(near, {
      role: options.role === "client" ? "server" : "client",
      transport: "mux",
      remote: { hostname: "memory", port: 1 },
      limits: options.limits,
    });
  }

  /** Sends one message made of these frames. */
  async say(fill: (batch: Batch) => void): Promise<void> {
    const batch = new Batch(16);
    fill(batch);
    await this.socket.send(batch.message);
  }

  greet(
    settings = { streams: 256, window: 262_144, idleTimeout: 8_000, restTimeout: 8_000 },
  ): Promise<void> {
    return this.say((batch) => batch.settings(settings));
  }

  /** The next frame with one of these names, others dropped; null when the session ends its socket first. */
  async hear(...names: (keyof FrameHandler)[]): Promise<Seen | null> {
    for (;;) {
      for (let frame = this.#seen.shift(); frame; frame = this.#seen.shift()) {
        if (names.includes(frame[0])) return frame;
      }
      const message = await this.socket.receive();
      if (message === null) return null;
      const note = (name: Seen[0]) => (...values: unknown[]) => {
        const kept = values.map((value) => value instanceof Uint8Array ? value.slice() : value);
        this.#seen.push([name, ...kept]);
      };
      const handler = new Proxy({}, { get: (_, name) => note(name as Seen[0]) });
      decodeFrames(message, handler as FrameHandler);
    }
  }

  /** Lets the session under test go. */
  end(): void {
    this.socket.abort();
  }
}
