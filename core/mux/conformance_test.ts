import type { Limits } from "../transport.ts";
import { multiplex } from "./session.ts";
import { muxConformance } from "./test_conformance.ts";
import { socketPair } from "./test_socket.ts";

const remote = { hostname: "memory", port: 1 };

muxConformance("multiplexer in memory", (limits?: Partial<Limits>) => {
  const [near, far] = socketPair();
  return {
    client: multiplex(near, { role: "client", transport: "mux", remote, limits }),
    server: multiplex(far, { role: "server", transport: "mux", remote, limits }),
    stall: () => far.pause(),
  };
});
