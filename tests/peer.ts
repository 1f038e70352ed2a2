/** A process that accepts sessions and echoes every stream, until it is killed. */

import type { Transport } from "../core/transport.ts";
import { quic } from "../transports/quic.ts";
import { webtransportTransport } from "../transports/webtransport/transport.ts";
import { serveEcho } from "./conformance.ts";

const { transport: name, cert, key, limits } = JSON.parse(Deno.env.get("PEER")!);
const transport: Transport = name === "quic"
  ? quic
  : name === "webtransport"
  ? webtransportTransport()
  : (await import("../transports/websocket/transport.ts")).websocket;
const listener = await transport.listen({ hostname: "127.0.0.1", port: 0, cert, key, limits });
console.log(listener.address.port);
for await (const incoming of listener) {
  const session = await incoming.accept();
  for await (const stream of session.incoming) serveEcho(stream).catch(() => {});
}
