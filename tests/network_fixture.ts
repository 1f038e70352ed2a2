/** A conformance fixture for a transport that crosses a real socket on loopback. */

import { developmentCertificate } from "../stores/certificate.ts";
import type { Limits, Session, Transport } from "../core/transport.ts";
import type { Fixture, Pair } from "./conformance.ts";

/** Certificates and addresses for sessions on 127.0.0.1. */
export interface Ground {
  readonly cert: string;
  readonly key: string;
  readonly root: string;
}

/** Tries at finding one number that is free for both UDP and TCP. */
const PORT_TRIES = 16;

let ground: Promise<Ground> | undefined;

/** One certificate for the whole process, in a folder that goes with it. */
export function testGround(): Promise<Ground> {
  return ground ??= (async () => {
    const dir = await Deno.makeTempDir();
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    return await developmentCertificate(dir, { names: ["localhost", "127.0.0.1", "::1"] });
  })();
}

/** @param peer the transport's name for `tests/peer.ts`, the child process that gets killed */
export function networkFixture(transport: Transport): Fixture {
  return {
    name: transport.name,
    async pair(limits) {
      const pair = await sessionPair(transport, limits);
      // Who carries anything to speak of has signed in.
      pair.server.welcome?.();
      return pair;
    },
    async mortal(limits) {
      const { root, cert, key } = await testGround();
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", new URL("./peer.ts", import.meta.url).pathname],
        env: { PEER: JSON.stringify({ transport: transport.name, cert, key, limits }) },
        stdout: "piped",
      }).spawn();
      const output = child.stdout.getReader();
      const { value } = await output.read();
      const port = Number(new TextDecoder().decode(value));
      const url = new URL(`tunnel://127.0.0.1:${port}`);
      const session = await transport.connect(url, { caCerts: [root], limits });
      const gone = Promise.all([child.status, output.cancel()]);
      session.closed.catch(() => {}).finally(() => gone);
      return { session, kill: () => child.kill("SIGKILL") };
    },
    async stuckDial(signal, limits) {
      using hole = openHole();
      const url = new URL(`tunnel://127.0.0.1:${hole.port}`);
      return await transport.connect(url, { signal, limits });
    },
  };
}

/** A port for TCP and UDP that takes what comes and never answers. */
function openHole(): Disposable & { port: number } {
  const hostname = "127.0.0.1";
  for (let tries = 1;; tries++) {
    const hole = Deno.listen({ hostname, port: 0 });
    const { port } = hole.addr as Deno.NetAddr;
    try {
      const datagrams = Deno.listenDatagram({ hostname, port, transport: "udp" });
      const close = () => {
        hole.close();
        datagrams.close();
      };
      return { port, [Symbol.dispose]: close };
    } catch (cause) {
      hole.close();
      // What is free for TCP may be somebody's UDP port.
      if (!(cause instanceof Deno.errors.AddrInUse) || tries === PORT_TRIES) throw cause;
    }
  }
}

/** Two ends of one session over loopback. */
export async function sessionPair(transport: Transport, limits?: Partial<Limits>): Promise<Pair> {
  const { root, cert, key } = await testGround();
  const listener = await transport.listen({ hostname: "127.0.0.1", port: 0, cert, key, limits });
  const accepting = (async (): Promise<Session> => {
    for await (const incoming of listener) return await incoming.accept();
    throw new Error("the listener closed");
  })();
  const url = new URL(`tunnel://127.0.0.1:${listener.address.port}`);
  const client = await transport.connect(url, { caCerts: [root], limits });
  const server = await accepting;
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.close();
      await Promise.allSettled([client.closed, server.closed, listener.close()]);
    },
  };
}
