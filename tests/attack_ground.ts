/** A relay under attack beside tunnels that are in use: real processes on loopback. */

import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import type { AttackOrder, AttackReport } from "./attackers.ts";
import { delay } from "../core/deadline.ts";
import { Running, type RunOptions, runToEnd, tempDir, tunnel, tunnelCommand } from "./processes.ts";

/** Bytes that go round a tunnel at a time. */
const BLOCK = 32 * 1024;
const MIB = 1024 * 1024;

/** What tunnels have carried in a while. */
export interface Carried {
  /** Bytes per second, both ways together, of all tunnels. */
  readonly rate: number;
  /** Of the tunnel that carried least. */
  readonly least: number;
}

interface Parts {
  readonly relay: Running;
  /** The URL of its metrics. */
  readonly metrics: string;
  /** Its `host:port`. */
  readonly address: string;
  readonly root: string;
  readonly env: Record<string, string>;
  readonly tunnels: readonly Tunnel[];
  /** Everything that is to be ended. */
  readonly stack: AsyncDisposableStack;
}

export class AttackGround implements AsyncDisposable {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Half of the tunnels run over QUIC, half over WebSocket. */
  static async open(tunnels: number): Promise<AttackGround> {
    const stack = new AsyncDisposableStack();
    try {
      return new AttackGround(await start(tunnels, stack));
    } catch (cause) {
      await stack.disposeAsync();
      throw cause;
    }
  }

  /** Lets all tunnels carry what they can for a while; rejects when one fails or alters anything. */
  async carry(ms: number): Promise<Carried> {
    const { tunnels } = this.#parts;
    const before = tunnels.map(({ bytes }) => bytes);
    const began = performance.now();
    await Promise.race([delay(ms), ...tunnels.map(({ failed }) => failed)]);
    const seconds = (performance.now() - began) / 1_000;
    const rates = tunnels.map(({ bytes }, i) => (bytes - before[i]!) / seconds);
    return { rate: rates.reduce((sum, rate) => sum + rate, 0), least: Math.min(...rates) };
  }

  /** Lets the tunnels rest for a while: the share of a core that the relay takes meanwhile. */
  async rest(ms: number): Promise<number> {
    const { tunnels } = this.#parts;
    await Promise.all(tunnels.map((tunnel) => tunnel.pause()));
    const used = await this.count("process_cpu_seconds_total");
    const began = performance.now();
    await delay(ms);
    const seconds = (performance.now() - began) / 1_000;
    const share = (await this.count("process_cpu_seconds_total") - used) / seconds;
    for (const tunnel of tunnels) tunnel.resume();
    return share;
  }

  /**
   * Runs attackers beside `work`; says how often each kind of attack was made.
   *
   * @param within where they run
   */
  async attack<T>(
    order: Pick<AttackOrder, "attackers" | "seed">,
    work: () => Promise<T>,
    within?: RunOptions["within"],
  ): Promise<{ result: T; report: AttackReport }> {
    const ATTACK = JSON.stringify({ ...order, relay: this.#parts.address, root: this.#parts.root });
    const source = new URL("./attackers.ts", import.meta.url).pathname;
    const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", source];
    await using attackers = new Running(command, { env: { ATTACK }, keepStdin: true, within });
    await attackers.line(/^attacking$/m);
    const result = await work();
    await attackers.endInput();
    const report = JSON.parse(await attackers.line(/^\{.*\}$/m));
    return { result, report };
  }

  /** Signs in anew as the operator of this home, and asks for the devices. */
  async devices(): Promise<string[]> {
    const command = [...tunnelCommand(), "devices", "--json"];
    const { code, stdout, stderr } = await runToEnd(command, {
      env: this.#parts.env,
      timeout: 60_000,
    });
    assert.is(code, 0, stderr);
    return JSON.parse(stdout).map(({ id }: { id: string }) => id);
  }

  /** What the relay has counted, as its metrics say: the sum over all labels. */
  async count(name: string, labels = ""): Promise<number> {
    const text = await (await fetch(this.#parts.metrics)).text();
    return [...text.matchAll(/^(\w+)(\{.*\})? (\S+)$/gm)]
      .filter(([, metric, found = ""]) => metric === name && found.includes(labels))
      .reduce((sum, [, , , value]) => sum + Number(value), 0);
  }

  /** The most memory that the relay has had resident, in MiB. */
  async peak(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.#parts.relay.pid}/status`);
    return Math.round(Number(status.match(/^VmHWM:\s+(\d+) kB$/m)![1]) * 1024 / MIB);
  }

  /** Lines that the relay has logged. */
  get lines(): number {
    return this.#parts.relay.stderr.split("\n").length - 1;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.stack.disposeAsync();
  }
}

async function start(count: number, stack: AsyncDisposableStack): Promise<Parts> {
  const home = stack.use(await tempDir());
  const env = { TUNNEL_HOME: home.path, TUNNEL_LOG_LEVEL: "warn" };
  const args = ["relay", "--listen", "127.0.0.1:0", "--metrics", "0"];
  const relay = stack.use(tunnel(args, { env: { ...env, TUNNEL_LOG_LEVEL: "info" } }));
  const metrics = await relay.line(/metrics are served url="?(\S+?)"?$/m, "stderr");
  const address = await relay.line(/^relay ready tunnel:\/\/(.*)$/m);
  const { root } = JSON.parse(await Deno.readTextFile(`${home.path}/relay/endpoint.json`));
  const target = stack.adopt(Deno.listen({ hostname: "127.0.0.1", port: 0 }), (it) => it.close());
  serveEchoes(target);
  const port = String((target.addr as Deno.NetAddr).port);
  const tunnels: Tunnel[] = [];
  for (const transport of ["quic", "websocket"]) {
    const over = { env: { ...env, TUNNEL_TRANSPORT: transport } };
    const id = `by-${transport}`;
    const device = stack.use(tunnel(["device", "--id", id, "--allow", port], over));
    await device.line(/^device .* online/m);
    const service = stack.use(tunnel(["connect", id, port], over));
    const local = Number(await service.line(/^listening 127\.0\.0\.1:(\d+)/m));
    for (let i = 0; i < count / 2; i++) {
      tunnels.push(stack.adopt(await Tunnel.open(local, i), (tunnel) => tunnel.close()));
    }
  }
  return { relay, metrics, address, env, root, tunnels, stack };
}

/** A connection through the relay whose bytes go round: out, back, and out again. */
class Tunnel {
  /** Bytes that have come back, and as many that went. */
  bytes = 0;
  /** Rejects when the tunnel fails; settles otherwise when it is closed. */
  readonly failed: Promise<never>;
  readonly #conn: Deno.Conn;
  #isOver = false;
  #paused: PromiseWithResolvers<void> | undefined;
  #resumed: PromiseWithResolvers<void> | undefined;

  private constructor(conn: Deno.Conn, seed: number) {
    this.#conn = conn;
    this.failed = this.#run(seed);
    this.failed.catch(() => {}); // Met by whoever lets it carry.
  }

  static async open(port: number, seed: number): Promise<Tunnel> {
    return new Tunnel(await Deno.connect({ hostname: "127.0.0.1", port }), seed);
  }

  /** Settles when nothing of it is on its way. */
  pause(): Promise<void> {
    this.#resumed = Promise.withResolvers();
    this.#paused = Promise.withResolvers();
    return this.#paused.promise;
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  close(): void {
    this.#isOver = true;
    this.#conn.close();
  }

  async #run(seed: number): Promise<never> {
    const [out, back] = [new Uint8Array(BLOCK).fill(seed), new Uint8Array(BLOCK)];
    try {
      for (let round = 0;; round++) {
        new DataView(out.buffer).setUint32(0, round);
        const reading = bounded("a tunnel's echo", this.#readFull(back));
        reading.catch(() => {}); // Where writing fails too, that is what is told.
        for (let at = 0; at < BLOCK;) at += await this.#conn.write(out.subarray(at));
        await reading;
        const isSame = new DataView(back.buffer).getUint32(0) === round && back[BLOCK - 1] === seed;
        if (!isSame) throw new Error("something else came back");
        this.bytes += 2 * BLOCK;
        this.#paused?.resolve();
        await this.#resumed?.promise;
      }
    } catch (cause) {
      if (!this.#isOver) throw new Error("a tunnel failed", { cause });
      return await new Promise<never>(() => {});
    }
  }

  async #readFull(into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      const count = await this.#conn.read(into.subarray(at));
      if (count === null) throw new Error("it ended");
      at += count;
    }
  }
}

async function serveEchoes(listener: Deno.Listener): Promise<void> {
  for await (const conn of listener) {
    echo(conn).catch(() => {}).finally(() => conn.close());
  }
}

async function echo(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(BLOCK);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    for (let at = 0; at < count;) at += await conn.write(buffer.subarray(at, count));
  }
}
