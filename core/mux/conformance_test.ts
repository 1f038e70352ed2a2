import { conformance, serveEcho } from "../../tests/conformance.ts";
import type { Limits, Session } from "../transport.ts";
import { multiplex } from "./session.ts";
import { socketPair } from "./test_socket.ts";

const remote = { hostname: "memory", port: 1 };

function sessions(limits?: Partial<Limits>) {
  const [near, far] = socketPair();
  const client: Session = multiplex(near, { role: "client", transport: "mux", remote, limits });
  const server: Session = multiplex(far, { role: "server", transport: "mux", remote, limits });
  return { client, server, far };
}

conformance({
  name: "multiplexer in memory",
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
    const { client, server, far } = sessions(limits);
    (async () => {
      for await (const stream of server.incoming) serveEcho(stream).catch(() => {});
    })().catch(() => {}); // It ends with the session, as it should.
    return Promise.resolve({ session: client, kill: () => far.pause() });
  },
});
