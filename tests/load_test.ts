/** What many connections and slow readers cost: nothing stays behind, and memory has a bound. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../core/deadline.ts";
import { bounded } from "./conformance.ts";
import { openFiles, type Running, tempDir, tunnel } from "./processes.ts";

const MIB = 1024 * 1024;
/** Resident bytes that no role may exceed. */
const MOST = 300 * MIB;

const test = suite("load");

for (const transport of ["quic", "websocket"]) {
  test(`1,000 connections in sequence and 200 at once leave nothing behind (${transport})`, async () => {
    await using chain = await startChain(transport, echo);
    const once = async (message: string) => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: chain.port });
      await conn.write(new TextEncoder().encode(message));
      await conn.closeWrite();
      const buffer = new Uint8Array(1_000);
      let got = "";
      for (let n; (n = await bounded("the echo", conn.read(buffer))) !== null;) {
        got += new TextDecoder().decode(buffer.subarray(0, n));
      }
      assert.is(got, message);
    };
    const many = async (count: number) =>
      await Promise.all(Array.from({ length: count }, (_, i) => once(`at once ${i}`)));
    await many(200); // What a process makes once, it has made by now.
    for (let i = 0; i < 50; i++) await once(`warm ${i}`);
    await settled(chain.processes, await Promise.all(chain.processes.map(openFiles)));
    const before = await Promise.all(chain.processes.map(openFiles));
    for (let i = 0; i < 1_000; i++) await once(`message ${i}`);
    await many(200);
    await settled(chain.processes, before);
    const after = await Promise.all(chain.processes.map(openFiles));
    for (const [i, files] of after.entries()) {
      assert.ok(
        files <= before[i]!,
        `${chain.names[i]}: ${before[i]} files were open, now ${files}`,
      );
    }
  });

  for (const readers of [1, 100]) {
    test(`${readers} reader(s) of 1 MB/s keep every role under 300 MB (${transport})`, async () => {
      await using chain = await startChain(transport, flood);
      const stop = new AbortController();
      let total = 0;
      const reading = Array.from({ length: readers }, async () => {
        using conn = await Deno.connect({ hostname: "127.0.0.1", port: chain.port });
        await conn.write(new Uint8Array(1));
        const buffer = new Uint8Array(100_000);
        while (!stop.signal.aborted) {
          const count = await bounded("data", conn.read(buffer));
          if (count === null) break;
          total += count;
          await delay(count / 1_000, stop.signal);
        }
      });
      // Long enough to fill every buffer on the way many times over.
      await delay(12_000);
      stop.abort();
      const peaks = await Promise.all(chain.processes.map((process) => peakBytes(process.pid)));
      await Promise.all(reading);
      assert.ok(total > readers * MIB, `only ${total} bytes came`);
      const shown = chain.names.map((name, i) => `${name} ${Math.round(peaks[i]! / MIB)} MiB`);
      console.log(`${readers} slow reader(s) over ${transport}: ${shown.join(", ")}`);
      for (const peak of peaks) assert.ok(peak < MOST, shown.join(", "));
    });
  }
}

test.run();

interface Chain extends AsyncDisposable {
  readonly port: number;
  readonly names: readonly string[];
  readonly processes: readonly Running[];
}

/** Relay, device and service around a target that does `serve` with each connection. */
async function startChain(
  transport: string,
  serve: (conn: Deno.Conn) => Promise<void>,
): Promise<Chain> {
  const home = await tempDir();
  const env = { TUNNEL_HOME: home.path, TUNNEL_TRANSPORT: transport, TUNNEL_LOG_LEVEL: "warn" };
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const conn of target) serve(conn).catch(() => {}).finally(() => close(conn));
  })();
  const port = String(target.addr.port);
  const relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const device = tunnel(["device", "--id", "x", "--allow", port], { env });
  await device.line(/^device x online/m);
  const service = tunnel(["connect", "x", port], { env });
  const local = Number(await service.line(/^listening 127\.0\.0\.1:(\d+)/m));
  const processes = [relay, device, service];
  return {
    port: local,
    names: ["relay", "device", "service"],
    processes,
    async [Symbol.asyncDispose]() {
      for (const process of processes) await process[Symbol.asyncDispose]();
      target.close();
      await home[Symbol.asyncDispose]();
    },
  };
}

async function echo(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await conn.read(buffer)) !== null;) await conn.write(buffer.subarray(0, n));
  await conn.closeWrite();
}

/** Sends as fast as it is let. */
async function flood(conn: Deno.Conn): Promise<void> {
  const block = new Uint8Array(65_536);
  for (let sent = 0; sent < 1024 * MIB;) sent += await conn.write(block);
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed by its own end.
  }
}

/** Waits until no process has more files open than it had, at most half a minute. */
async function settled(processes: readonly Running[], before: readonly number[]): Promise<void> {
  for (let i = 0; i < 300; i++) {
    const now = await Promise.all(processes.map(openFiles));
    if (now.every((files, i) => files <= before[i]!)) return;
    await delay(100); // Another process's files: there is no event to await.
  }
}

/** The most memory that a process has had resident. */
async function peakBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(status.match(/^VmHWM:\s+(\d+) kB$/m)![1]) * 1024;
}
