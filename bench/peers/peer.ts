/** What the tools to compare with have in common: where they are, ports, keys, when they are ready. */

import { delay, withDeadline } from "../../core/deadline.ts";
import { describe } from "../../core/errors.ts";
import { developmentCertificate } from "../../stores/certificate.ts";
import { type Running, runToEnd } from "../../tests/processes.ts";
import { find } from "../../tests/require.ts";
import { encodeOrder, Order, ORDER_LENGTH, readFull, writeAll } from "../target.ts";

export const HOST = "127.0.0.1";

/** Milliseconds that a tool has from its start to the target's first echo. */
const PATIENCE = 30_000;
/** Milliseconds that one try at an echo has: some tools hold what comes before they are ready. */
const TRY = 2_000;

/** The path of a tool's program: where install.sh puts it (PEERS_BIN), or where the machine has it. */
export function findPeer(program: string): string | undefined {
  const bin = Deno.env.get("PEERS_BIN") ?? new URL("bin", import.meta.url).pathname;
  return isFile(`${bin}/${program}`) ? `${bin}/${program}` : find(program);
}

/** The same for one that is known to be there. @throws when it is not */
export function peerPath(program: string): string {
  const path = findPeer(program);
  if (path === undefined) throw new Error(`find ${program}: it is not installed`);
  return path;
}

/** What a tool says that its version is. @param command the program's name, then its arguments */
export async function peerVersion([program, ...args]: readonly string[]): Promise<string> {
  const { stdout, stderr } = await runToEnd([peerPath(program!), ...args], { timeout: PATIENCE });
  const match = `${stdout}${stderr}`.match(/(?<![\d:])\d+\.\d+[\w.]*/);
  if (!match) throw new Error(`read the version of ${program}: it said none\n${stdout}${stderr}`);
  return match[0];
}

/**
 * A port of this machine that is free for TCP and for UDP. It is below those that systems give to
 * outgoing connections, so that none of them takes it before the tool does.
 */
export function freePort(): number {
  const [from, to] = [10_000, 32_000];
  for (let tries = 0; tries < 100; tries++) {
    const address = { hostname: HOST, port: from + Math.floor(Math.random() * (to - from)) };
    try {
      using _tcp = Deno.listen(address);
      const udp = Deno.listenDatagram({ ...address, transport: "udp" });
      udp.close();
      return address.port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`find a free port: none of 100 between ${from} and ${to} was free`);
}

/** Paths of PEM files: what a server of this machine needs, and what a client needs to trust it. */
export interface PeerKeys {
  readonly cert: string;
  readonly key: string;
  readonly root: string;
}

/** Makes them in `home`. */
export async function peerKeys(home: string): Promise<PeerKeys> {
  const made = await developmentCertificate(`${home}/keys`, { names: [HOST, "localhost"] });
  const write = async (name: "cert" | "key" | "root") => {
    const path = `${home}/${name}.pem`;
    await Deno.writeTextFile(path, made[name], { mode: 0o600 });
    return path;
  };
  return { cert: await write("cert"), key: await write("key"), root: await write("root") };
}

/**
 * Waits until the target's echo answers through `port`.
 *
 * @param running the processes on the way: one that ends will never be ready
 * @throws with all that they have said when one ends, or when it takes too long
 */
export async function untilEcho(port: number, ...running: Running[]): Promise<void> {
  const action = `await an echo through port ${port}`;
  const over = new AbortController();
  const ends = running.map(async (one) => {
    const { code } = await one.outcome();
    throw new Error(`${action}: a process of the tool ended with code ${code}`);
  });
  try {
    await withDeadline(
      { action, timeout: PATIENCE },
      (signal) => Promise.race([...ends, keepTrying(port, AbortSignal.any([signal, over.signal]))]),
    );
  } catch (cause) {
    const said = running.map(({ stdout, stderr }) => `${stdout}${stderr}`).join("");
    throw new Error(`${describe(cause)}\n${said}`, { cause });
  } finally {
    over.abort();
  }
}

async function keepTrying(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      return await withDeadline(
        { action: "get an echo", timeout: TRY, signal },
        (signal) => echo(port, signal),
      );
    } catch {
      await delay(50, signal); // Not yet: there is no event to await for another program's port.
    }
  }
}

async function echo(port: number, signal: AbortSignal): Promise<void> {
  using conn = await Deno.connect({ hostname: HOST, port, signal });
  const close = () => conn.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    const request = new Uint8Array(ORDER_LENGTH + 1);
    request.set(encodeOrder(Order.echo));
    await writeAll(conn, request);
    await readFull(conn, new Uint8Array(1));
  } finally {
    signal.removeEventListener("abort", close);
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
