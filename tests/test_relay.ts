/** A relay in this process, over real sockets, for tests that have a hand in what it decides. */

import { Verifier } from "../core/identity/credential.ts";
import { SILENT } from "../core/log.ts";
import { Relay, type RelayOptions } from "../core/relay/relay.ts";
import { developmentCertificate } from "../stores/certificate.ts";
import { Home } from "../stores/home.ts";
import { quic } from "../transports/quic.ts";
import { websocket } from "../transports/websocket/transport.ts";

/** Tries at finding one number that is free for both UDP and TCP. */
const PORT_TRIES = 16;

/** Starts one on loopback whose home the program's other commands may use. */
export async function startRelay(
  path: string,
  options: Pick<RelayOptions, "mayApprove" | "limits">,
): Promise<AsyncDisposable & { relay: Relay }> {
  const home = new Home(path);
  const authority = await home.makeAuthority();
  const store = await home.openStore();
  const hostname = "127.0.0.1";
  const certificate = await developmentCertificate(home.tlsPath, { names: [hostname] });
  const listeners = await listen({ hostname, ...certificate });
  const url = `tunnel://${hostname}:${listeners[0]!.address.port}`;
  const relay = new Relay({
    store,
    authority,
    verifier: new Verifier(authority.publicJwk),
    isOwnAddress: (address) => `tunnel://${address}` === url,
    agent: "test",
    now: Date.now,
    log: SILENT,
    ...options,
  });
  await home.saveRelayEndpoint({ url, local: url, root: certificate.root });
  const serving = listeners.map((listener) => relay.serve(listener));
  return {
    relay,
    async [Symbol.asyncDispose]() {
      await Promise.all(listeners.map((listener) => listener.close()));
      await relay.close();
      await Promise.all(serving);
      await store[Symbol.asyncDispose]();
    },
  };
}

async function listen(options: { hostname: string; cert: string; key: string }) {
  for (let tries = 1;; tries++) {
    const tcp = await websocket.listen({ ...options, port: 0 });
    try {
      return [tcp, await quic.listen({ ...options, port: tcp.address.port })];
    } catch (error) {
      await tcp.close();
      if (tries === PORT_TRIES) throw error;
    }
  }
}
