import { conformance, serveEcho } from "../tests/conformance.ts";
import { memoryPair } from "./memory.ts";

conformance({
  name: "memory",
  pair(limits) {
    const [client, server] = memoryPair({ a: limits, b: limits });
    return Promise.resolve({
      client,
      server,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
      },
    });
  },
  mortal(limits) {
    const [session, peer] = memoryPair({ a: limits, b: limits });
    (async () => {
      for await (const stream of peer.incoming) serveEcho(stream).catch(() => {});
    })().catch(() => {});
    return Promise.resolve({ session, kill: () => peer.lose() });
  },
});
