/**
 * What Chromium gets by WebTransport: one stream to a sink and from a source that do nothing else, and
 * the same through relay and device, encrypted end to end by the page itself.
 *
 *     deno run -A bench/browser.ts [rounds] [MB]
 *
 * The bare server is this process; relay, device and target are one each, as in the other benchmarks.
 */

import { table } from "../cmd/table.ts";
import { certificateHash } from "../core/identity/certificate_hashes.ts";
import { decodeJoin } from "../core/identity/join.ts";
import type { Stream } from "../core/transport.ts";
import { callPage, openPage } from "../tests/chromium.ts";
import { testGround } from "../tests/network_fixture.ts";
import { Running, tempDir, tunnel } from "../tests/processes.ts";
import { webtransportTransport } from "../transports/webtransport/transport.ts";
import { wellKnownHashes } from "../transports/webtransport/well_known.ts";
import type * as Lib from "./browser_page.ts";
import { median } from "./statistics.ts";
import { Order, ORDER_LENGTH } from "./target.ts";

const rounds = Number(Deno.args[0] ?? 5);
const bytes = Number(Deno.args[1] ?? 100) * 1_000_000;
const KINDS = ["bare", "tunnel"] as const;
const ORDERS = ["take", "give"] as const;

await using browser = await openPage(new URL("./browser_page.ts", import.meta.url));
const { page, origin } = browser;
const { cert, key } = await testGround();
const bare = webtransportTransport({ allowsOrigin: (other) => other === origin });
await using listener = await bare.listen({ hostname: "127.0.0.1", port: 0, cert, key });
serve().catch(() => {}); // A page that is left is a session lost.
const host = `127.0.0.1:${listener.address.port}`;
await call("connectBare", host, [...await certificateHash(cert)]);

await using dir = await tempDir();
const env = { TUNNEL_HOME: dir.path };
const args = ["relay", "--listen", "127.0.0.1:0", "--allow-origin", origin];
await using relay = tunnel(args, { env });
const url = new URL(await relay.line(/^relay ready (\S+)/m));
const program = new URL("target.ts", import.meta.url).pathname;
await using target = new Running([Deno.execPath(), "run", "-A", "--quiet", program]);
const port = Number(await target.line(/^port (\d+)$/m));
await using device = tunnel(["device", "--id", "x", "--allow", String(port)], { env });
await device.line(/^device x online/m);
const invited = tunnel(["invite", "operator", "page", "--grant", "x:*"], { env });
const join = (await invited.outcome()).stdout.trim();
await call("connectTunnel", join, await hashOf(decodeJoin(join).root!), port);

const rates = new Map<string, number[]>();
// The first round opens the windows and does not count.
for (let round = 0; round <= rounds; round++) {
  for (const order of ORDERS) {
    for (const kind of KINDS) {
      const rate = await call("measure", kind, order, bytes);
      const all = rates.get(`${order} ${kind}`) ?? [];
      if (round > 0) rates.set(`${order} ${kind}`, [...all, rate]);
      console.error(`${round} ${order} ${kind} ${rate.toFixed(0)} MB/s`);
    }
  }
}
const rows = ORDERS.map((order) => {
  const [plain, ours] = KINDS.map((kind) => rates.get(`${order} ${kind}`)!) as [number[], number[]];
  const ratio = (median(ours) / median(plain)).toFixed(2);
  return [order === "take" ? "up" : "down", spread(plain), spread(ours), ratio];
});
console.log(table([["", "bare", "tunnel", "ratio"], ...rows]));

const sealing = await call("ciphers");
console.log(sealing.map(([name, rate]) => `${name} seals ${rate.toFixed(0)} MB/s`).join(", "));

function call<Name extends keyof typeof Lib>(name: Name, ...args: Parameters<typeof Lib[Name]>) {
  return callPage<typeof Lib, Name>(page, name, ...args);
}

function spread(all: number[]): string {
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return `${median(all).toFixed(0)} MB/s (${least.toFixed(0)} to ${most.toFixed(0)})`;
}

async function hashOf(root: string): Promise<number[]> {
  using client = Deno.createHttpClient({ caCerts: [root] });
  const find = wellKnownHashes((url, init) => fetch(url, { ...init, client }));
  return [...(await find(url, { roots: [root], signal: new AbortController().signal }))[0]!];
}

async function serve(): Promise<void> {
  for await (const incoming of listener) {
    const session = await incoming.accept();
    for await (const stream of session.incoming) obey(stream).catch(() => {}); // The page sees it.
  }
}

/** As bench/target.ts does for TCP. */
async function obey({ readable, writable }: Stream): Promise<void> {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const { value } = await reader.read();
  const view = new DataView(value!.buffer, value!.byteOffset, value!.length);
  let left = Number(view.getBigUint64(1));
  if (value![0] === Order.take) {
    for (left -= value!.length - ORDER_LENGTH; left > 0;) {
      left -= (await reader.read()).value!.length;
    }
    await writer.write(new Uint8Array(1));
  } else {
    const block = new Uint8Array(256 * 1024);
    for (; left > 0; left -= block.length) {
      await writer.write(block.subarray(0, Math.min(left, block.length)));
    }
  }
  await writer.close();
  while (!(await reader.read()).done);
}
