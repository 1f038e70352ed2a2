/** The client on a platform's WebTransport, with one that is made up; chromium_test.ts has a real one. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ConnectOptions, Stream } from "../../core/transport.ts";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { type HashFinder, type PlatformConstructor, webtransport } from "./platform.ts";

const test = suite("webtransport: platform");
const url = new URL("tunnel://relay.example:4433");

class Platform {
  static made: Platform[] = [];
  readonly options: ConstructorParameters<PlatformConstructor>[1];
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #closed: PromiseWithResolvers<{ closeCode?: number; reason?: string }> = Promise
    .withResolvers();
  readonly incomingBidirectionalStreams: ReadableStream<Stream>;
  arrivals!: ReadableStreamDefaultController<Stream>;
  closings: unknown[] = [];

  constructor(readonly url: string, options?: ConstructorParameters<PlatformConstructor>[1]) {
    this.options = options;
    this.incomingBidirectionalStreams = new ReadableStream({
      start: (controller) => void (this.arrivals = controller),
    });
    this.#ready.promise.catch(() => {}); // Met by whoever connects.
    Platform.made.push(this);
  }

  get ready() {
    return this.#ready.promise;
  }

  get closed() {
    return this.#closed.promise;
  }

  createBidirectionalStream(): Promise<Stream> {
    return Promise.resolve(new TransformStream());
  }

  close(info: { closeCode?: number; reason?: string } = {}): void {
    this.closings.push(info);
    this.#ready.reject(new Error("closed"));
    this.#closed.resolve(info);
  }

  succeed(): void {
    this.#ready.resolve();
  }

  fail(): void {
    const error = new Error("Opening handshake failed.");
    this.#ready.reject(error);
    this.#closed.reject(error);
    this.arrivals.error(error);
  }

  lose(): void {
    this.#closed.reject(new Error("Connection lost."));
    this.arrivals.error(new Error("Connection lost."));
  }
}

function dial(options: ConnectOptions = {}, certificateHashes?: HashFinder) {
  return webtransport({ WebTransport: Platform, certificateHashes }).connect(url, options);
}

async function made(): Promise<Platform> {
  while (Platform.made.length === 0) await new Promise((resolve) => setTimeout(resolve));
  return Platform.made.shift()!;
}

test("a relay with a public certificate is dialled without hashes", async () => {
  const connecting = dial({}, () => Promise.reject(new Error("nobody asked")));
  const platform = await made();
  assert.is(platform.url, "https://relay.example:4433/tunnel");
  assert.equal(platform.options, {});
  platform.succeed();
  const session = await bounded("the session", connecting);
  assert.is(session.transport, "webtransport");
  assert.equal(session.remote, { hostname: "relay.example", port: 4_433 });
  session.close({ code: 2, reason: "x".repeat(500) });
  assert.equal(platform.closings, [{ closeCode: 2, reason: `${"x".repeat(117)}...` }]);
  assert.is((await session.closed).code, 2);
});

test("a root is turned into the hashes of the relay's certificates", async () => {
  const asked: unknown[] = [];
  const connecting = dial({ caCerts: ["root"] }, (relay, { roots }) => {
    asked.push(relay.href, roots);
    return Promise.resolve([new Uint8Array(32)]);
  });
  const platform = await made();
  assert.equal(asked, [url.href, ["root"]]);
  const value = new Uint8Array(32);
  assert.equal(platform.options!.serverCertificateHashes, [{ algorithm: "sha-256", value }]);
  platform.succeed();
  (await connecting).close();
});

test("what cannot be done is said before anything is dialled", async () => {
  const before = Platform.made.length;
  assert.is((await failureOf(dial({ caCerts: ["root"] }))).code, "usage");
  assert.is((await failureOf(dial({ proxy: new URL("http://proxy:8080") }))).code, "usage");
  assert.is((await failureOf(dial({ signal: AbortSignal.abort() }))).code, "aborted");
  const broken = dial({ caCerts: ["root"] }, () => Promise.reject(new Error("no such host")));
  assert.is((await failureOf(broken)).code, "unreachable");
  const options = { hostname: "::", port: 0, cert: "", key: "" };
  const listening = webtransport({ WebTransport: Platform }).listen(options);
  assert.is((await failureOf(listening)).code, "unavailable");
  assert.is(Platform.made.length, before);
});

test("a dial that fails, or is cancelled, is closed", async () => {
  const failing = failureOf(dial());
  (await made()).fail();
  const error = await bounded("the dial", failing);
  assert.is(error.code, "unreachable");
  assert.match(error.message, "Opening handshake failed.");
  const gone = new AbortController();
  const cancelled = failureOf(dial({ signal: gone.signal }));
  const platform = await made();
  gone.abort();
  assert.is((await bounded("the dial", cancelled)).code, "aborted");
  assert.is(platform.closings.length, 1);
});

test("streams that come are handed on; the end of the session ends them", async () => {
  for (const lost of [false, true]) {
    const connecting = dial();
    const platform = await made();
    platform.succeed();
    const session = await connecting;
    const { incoming } = session;
    const stream = new TransformStream();
    platform.arrivals.enqueue(stream);
    assert.is((await bounded("a stream", incoming.next())).value, stream);
    assert.ok(await session.openStream());
    const next = incoming.next();
    if (lost) {
      platform.lose();
      assert.is((await bounded("incoming", failureOf(next))).code, "reset");
      assert.is((await failureOf(session.closed)).code, "reset");
    } else {
      platform.close({ closeCode: 3, reason: "no" });
      platform.arrivals.close();
      assert.is((await bounded("incoming", next)).done, true);
      assert.equal(await session.closed, { code: 3, reason: "no" });
    }
    session.close();
  }
});

test.run();
