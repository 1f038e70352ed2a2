/** The console's files as a relay serves them: what browsers are told, and how much there is to load. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SILENT } from "../core/log.ts";
import { formatResponse, type RequestHead } from "../transports/websocket/http.ts";
import { Console } from "./console.ts";
import { type Assets, loadAssets } from "./console_assets.ts";

const test = suite("console files");
const assets = await loadAssets();
/** Bytes over the line until the page is there: everything that it names, and what that imports. */
const MOST = 300_000;

test("the first load is under 300 kB compressed, and the terminal is not in it", () => {
  const seen = new Set<string>();
  const load = (at: string) => {
    if (seen.has(at)) return;
    seen.add(at);
    const text = new TextDecoder().decode(assets.get(at)!.plain);
    // Files that it names, but for those that are imported when they are wanted.
    for (const [, name] of text.matchAll(/(?<!import\()"\.?(\/[\w-]+\.(?:js|css))"/g)) load(name!);
  };
  load("/");
  // Not named by the page, but wanted by its first channel.
  const cipher = [...assets.keys()].find((at) => at.startsWith("/libsodium"))!;
  seen.add(cipher);
  const total = [...seen].reduce((sum, at) => sum + assets.get(at)!.gzip.length, 0);
  const terminal = [...assets.keys()].find((at) => at.startsWith("/login-") && at.endsWith(".js"))!;
  console.log(
    `first load ${kilobytes(total)}, terminal ${kilobytes(assets.get(terminal)!.gzip.length)}`,
  );
  assert.ok(seen.size > 3, [...seen].join());
  assert.ok(total < MOST, `${total}`);
  assert.not.ok(seen.has(terminal));
});

test("a page names nothing outside, and may do nothing that it does not do", async () => {
  for (const at of ["/", "/view"]) {
    const { headers } = await ask(at);
    const policy = headers!["content-security-policy"]!;
    for (
      const part of [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval';",
        "style-src 'self';",
        "connect-src 'self' https://relay.example:443 wss://relay.example:443;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
      ]
    ) assert.ok(policy.includes(part), `${at}: ${part} of ${policy}`);
    // WebAssembly is no text that is run as script.
    assert.not.match(policy, /(?<!wasm-)unsafe|\*/);
    assert.is(headers!["x-content-type-options"], "nosniff");
    assert.is(headers!["referrer-policy"], "no-referrer");
    assert.is(headers!["cross-origin-opener-policy"], "same-origin");
    assert.is(headers!["cross-origin-resource-policy"], "same-origin");
  }
  for (const [at, { plain, type }] of assets) {
    if (!/html|css/.test(type)) continue;
    assert.not.match(
      new TextDecoder().decode(plain),
      /(?:src|href)="https?:|url\(["']?https?:/,
      at,
    );
  }
  assert.match(
    (await ask("/view")).headers!["content-security-policy"]!,
    /frame-src https:\/\/relay.example:443\/_frame$/,
  );
});

test("the frame of devices' pages has no origin and no network", async () => {
  const policy = (await ask("/_frame")).headers!["content-security-policy"]!;
  assert.match(policy, /^sandbox allow-scripts allow-forms allow-modals; default-src 'none';/);
  assert.not.match(policy, /allow-same-origin|allow-top|allow-popups|https?:|'self'(?!$|;)/);
  assert.match(policy, /connect-src blob: data:;/);
});

test("files that are no pages do nothing when they are opened as ones", async () => {
  const script = [...assets.keys()].find((at) => at.endsWith(".js"))!;
  const { headers } = await ask(script);
  assert.is(
    headers!["content-security-policy"],
    "default-src 'none'; sandbox; frame-ancestors 'none'",
  );
  assert.match(headers!["cache-control"]!, /immutable/);
});

test("a Host that is none gets into no policy", async () => {
  for (const host of ["evil.example; script-src *", "a b", "", "x".repeat(10) + "'"]) {
    const { headers } = await ask("/view", { host });
    assert.match(
      headers!["content-security-policy"]!,
      /frame-src https:\/\/relay.example:443\/_frame$/,
    );
  }
});

test("it is sent compressed to who can, and not again to who has it", async () => {
  const plain = await ask("/");
  assert.is(plain.headers!["content-encoding"], undefined);
  for (const accepted of ["gzip", "br, gzip;q=0.5", "*"]) {
    const packed = await ask("/", { "accept-encoding": accepted });
    assert.is(packed.headers!["content-encoding"], "gzip", accepted);
    const stream = new Blob([new Uint8Array(packed.body as Uint8Array)]).stream();
    const text = await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
    assert.is(text, new TextDecoder().decode(plain.body as Uint8Array));
  }
  assert.is(
    (await ask("/", { "accept-encoding": "gzip;q=0" })).headers!["content-encoding"],
    undefined,
  );
  const { etag } = plain.headers!;
  const again = await ask("/", { "if-none-match": `W/${etag}, "other"` });
  assert.equal([again.status, again.body], [304, undefined]);
  assert.not.match(text(formatResponse(again)), /content-length/);
});

test("HEAD has the head alone, other methods are turned away, and paths are what they are", async () => {
  const whole = text(formatResponse(await ask("/")));
  const head = text(formatResponse(await ask("/", {}, "HEAD")));
  assert.ok(whole.startsWith(head));
  assert.match(head, /content-length: [1-9]/);
  assert.match(head, /\r\n\r\n$/);
  assert.is((await ask("/", {}, "POST")).status, 405);
  assert.is((await ask("/?x=1")).status, 200);
  for (const path of ["/manifest.json", "/index", "/../deno.json", "//", "/%2e%2e/"]) {
    assert.is(await page().answer(request(path)), undefined, path);
  }
});

test("a failure to read them is logged, and tried again", async () => {
  let tries = 0;
  const said: string[] = [];
  const log = { ...SILENT, error: (message: string) => said.push(message) };
  const load = () => tries++ === 0 ? Promise.reject(new Error("no disk")) : Promise.resolve(assets);
  const made = new Console({ relay: () => "relay.example:443", log, load });
  assert.is(await made.answer(request("/")), undefined);
  assert.equal(said, ["the console cannot be loaded"]);
  assert.is((await made.answer(request("/")))!.status, 200);
});

test.run();

function page(load: () => Promise<Assets> = () => Promise.resolve(assets)): Console {
  return new Console({ relay: () => "relay.example:443", log: SILENT, load });
}

function request(
  target: string,
  headers: Record<string, string> = {},
  method = "GET",
): RequestHead {
  return { method, target, headers: new Headers({ host: "relay.example:443", ...headers }) };
}

async function ask(target: string, headers?: Record<string, string>, method?: string) {
  return (await page().answer(request(target, headers, method)))!;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function kilobytes(count: number): string {
  return `${(count / 1_000).toFixed(0)} kB`;
}
