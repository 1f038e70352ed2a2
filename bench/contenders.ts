/** What is measured: ways from a local port to the target, each of processes of its own. */

import { type Running, tempDir } from "../tests/processes.ts";
import { keepFamily } from "./family.ts";
import { chisel } from "./peers/chisel.ts";
import { frp } from "./peers/frp.ts";
import { openssh } from "./peers/openssh.ts";
import { findPeer, peerVersion } from "./peers/peer.ts";
import { rathole } from "./peers/rathole.ts";
import { wstunnel } from "./peers/wstunnel.ts";
import type { ColdCommand, Recipe } from "./recipe.ts";
import { TUNNELS } from "./tunnels.ts";

/** A way to the target. */
export interface Contender {
  readonly name: string;
  /** The local port whose connections arrive at the target. */
  readonly port: number;
  /** Its processes by role: service, relay and device, where it has them; none without a tunnel. */
  readonly processes: readonly Process[];
  /** Of the tool, as it says itself; undefined for what is of this repository. */
  readonly version?: string;
  /** How to reach the target by a tunnel that is started for it, where it has that. */
  readonly cold?: ColdCommand;
}

/** A process of a contender. */
export interface Process {
  readonly role: string;
  readonly pid: number;
}

/** All that are wanted, running. */
export interface Field extends AsyncDisposable {
  readonly contenders: readonly Contender[];
  /** Those that did not start, and why. */
  readonly failures: ReadonlyMap<string, string>;
  /** Those whose programs this machine lacks, and what to do: no failure of theirs. */
  readonly absent: ReadonlyMap<string, string>;
}

/** The tools that people use today. Each sentence of theirs says what is not the tool's default. */
const TOOLS: Readonly<Record<string, Recipe>> = {
  "openssh": openssh,
  "chisel": chisel,
  "frp tcp": frp("tcp"),
  "frp quic": frp("quic"),
  "frp wss": frp("wss"),
  "rathole tls": rathole("tls"),
  "rathole noise": rathole("noise"),
  "wstunnel": wstunnel,
};

const RECIPES: Readonly<Record<string, Recipe>> = { ...TUNNELS, ...TOOLS };

/** Every name, in the order of measurement. */
export const NAMES: readonly string[] = Object.keys(RECIPES);

/** The names of what is not of this repository. */
export const PEERS: readonly string[] = Object.keys(TOOLS);

/** What each contender is and how it is set up, in a sentence. */
export const DESCRIPTIONS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(RECIPES).map(([name, { description }]) => [name, description]),
);

/** What a contender is compared with: the copying alone, and the engine without its encryption. */
export const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  "tunnel quic": ["bare quic", "plain quic"],
  "plain quic": ["bare quic"],
  // What HTTP/3 adds is a frame at the beginning of each stream.
  "tunnel webtransport": ["bare quic"],
  "tunnel websocket": ["bare websocket", "plain websocket"],
  "plain websocket": ["bare websocket"],
};

/**
 * Starts the contenders of these names; one that fails to start does not keep the others.
 *
 * @param target the port of the target, on this machine
 */
export async function startField(names: readonly string[], target: number): Promise<Field> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await tempDir());
  const contenders: Contender[] = [];
  const failures = new Map<string, string>();
  const absent = new Map<string, string>();
  for (const name of names) {
    const why = lacking(name);
    if (why !== undefined) {
      absent.set(name, why);
      continue;
    }
    try {
      const { contender, owned } = await start(
        name,
        target,
        `${home.path}/${name.replaceAll(" ", "-")}`,
      );
      stack.use(owned);
      contenders.push(contender);
    } catch (error) {
      failures.set(name, `it did not start: ${error}`);
    }
  }
  const owned = stack.move();
  return { contenders, failures, absent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Why this machine cannot have the contender of this name; undefined when it can. */
export function lacking(name: string): string | undefined {
  const missing = (RECIPES[name]!.programs ?? []).filter((program) => !findPeer(program));
  if (missing.length === 0) return undefined;
  return `${missing.join(", ")} not installed: run bench/peers/install.sh`;
}

/** What has been started of one that fails is ended at once: it would be the others' load. */
async function start(
  name: string,
  target: number,
  home: string,
): Promise<{ contender: Contender; owned: AsyncDisposable }> {
  await using stack = new AsyncDisposableStack();
  const processes: Process[] = [];
  const keep = (role: string, running: Running) => {
    processes.push({ role, pid: running.pid });
    stack.use(keepFamily(running));
    return running;
  };
  await Deno.mkdir(home);
  const recipe = RECIPES[name]!;
  const version = recipe.version && await peerVersion(recipe.version);
  const made = await recipe.start({ target, home, keep });
  const started = typeof made === "number" ? { port: made } : made;
  return { contender: { name, ...started, processes, version }, owned: stack.move() };
}
