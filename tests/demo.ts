/**
 * The main job on one machine: a relay, a device and a service as processes of their own, a page and
 * a file through them over QUIC, then over WebSocket. With `--keep` it stays up for you to try.
 */

import { diagnosticsServer, digestOf, pattern } from "./demo_parts.ts";
import { type Running, tempDir, tunnel, tunnelCommand } from "./processes.ts";
import { table } from "../cmd/table.ts";

const MIB = 1024 * 1024;
const FILE = 64 * MIB;

const keep = Deno.args.includes("--keep");
await using home = await tempDir();
const env = { TUNNEL_HOME: home.path };
const began = performance.now();

console.log("A relay, a device and a service, each a process of its own, on this machine.\n");
await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
const url = await relay.line(/^relay ready (tunnel:.*)$/m);
console.log(`  relay    ${url}, UDP and TCP on one port`);
const web = diagnosticsServer();
const rows = [["over", "what", "took", "throughput", "result"]];
let failed = false;

for (const transport of ["quic", "websocket"]) {
  const options = ["--transport", transport];
  await using device = tunnel(
    ["device", "--id", "demo", "--allow", String(web.port), ...options],
    { env },
  );
  console.log(`  device   ${await device.line(/^device demo online via .*$/m)}`);
  await using service = tunnel(["connect", "demo", String(web.port), ...options], { env });
  const line = await service.line(/^listening .*$/m);
  console.log(`  service  ${line}`);
  const base = `http://${line.split(" ")[1]}`;
  await measure(transport, base);
}
console.log(`\n${table(rows)}\n`);
const seconds = ((performance.now() - began) / 1_000).toFixed(1);
console.log(
  failed ? "something failed, see above" : `everything arrived as it was sent (${seconds} s)`,
);

if (keep) await stay();
await web.close();
relay.kill();
await relay.outcome();
if (failed) Deno.exit(1);

async function measure(transport: string, base: string): Promise<void> {
  await step(transport, "a page", 0, async () => {
    const page = await (await fetch(base)).text();
    return page.includes("<h1>diagnostics</h1>") ? "read" : "not the page";
  });
  await step(transport, `${FILE / MIB} MiB to the device`, FILE, async () => {
    const sent = digestOf(pattern(FILE));
    const url = `${base}/upload?name=demo`;
    const answer = await (await fetch(url, { method: "PUT", body: pattern(FILE) })).json();
    return answer.digest === (await sent).digest ? "checksums agree" : "CHECKSUMS DIFFER";
  });
  await step(transport, `${FILE / MIB} MiB from the device`, FILE, async () => {
    const { body } = await fetch(`${base}/download?bytes=${FILE}`);
    const [got, sent] = await Promise.all([digestOf(body!), digestOf(pattern(FILE))]);
    return got.digest === sent.digest ? "checksums agree" : "CHECKSUMS DIFFER";
  });
}

async function step(over: string, what: string, bytes: number, work: () => Promise<string>) {
  const start = performance.now();
  let result: string;
  try {
    result = await work();
  } catch (error) {
    result = `FAILED: ${error}`;
  }
  failed ||= /^(CHECK|FAILED|not)/.test(result);
  const ms = performance.now() - start;
  const rate = bytes ? `${(bytes / MIB / (ms / 1_000)).toFixed(0)} MiB/s` : "";
  rows.push([
    over,
    what,
    ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(2)} s`,
    rate,
    result,
  ]);
}

/** Leaves relay and device running until Ctrl-C. */
async function stay(): Promise<void> {
  const device: Running = tunnel([
    "device",
    "--id",
    "demo",
    "--allow",
    String(web.port),
    "--allow",
    "22",
  ], {
    env,
  });
  await device.line(/^device demo online/m);
  const program = tunnelCommand().join(" ");
  console.log(`
It stays up until Ctrl-C. Try, in another terminal:

  export TUNNEL_HOME=${home.path}
  ${program} devices
  ${program} connect demo ${web.port}        then open the address it prints
  ${program} ssh $USER@demo                 if an SSH server runs here
  ${program} doctor
`);
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.resolve());
  }
  await stop.promise;
  device.kill();
  await device.outcome();
}
