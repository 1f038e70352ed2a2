/** The conformance suite, run on two multiplexed sessions over whatever is below them. */

import { conformance, serveEcho } from "../../tests/conformance.ts";
import type { Limits, Session } from "../transport.ts";

export interface MuxPair {
  readonly client: Session;
  readonly server: Session;
  /** Has the server hear nothing more, without a word to anybody. */
  stall(): void;
}

export function muxConformance(name: string, sessions: (limits?: Partial<Limits>) => MuxPair) {
  conformance({
    name,
    pair(limits) {
      const { client, server } = sessions(limits);
      return Promise.resolve({
        client,
        server,
        async [Symbol.asyncDispose]() {
          client.close();
          await Promise.allSettled([client.closed, server.closed]);
        },
      });
    },
    mortal(limits) {
      const { client, server, stall } = sessions(limits);
      (async () => {
        for await (const stream of server.incoming) serveEcho(stream).catch(() => {});
      })().catch(() => {}); // It ends with the session, as it should.
      return Promise.resolve({ session: client, kill: stall });
    },
  });
}
