/** The relay's WebTransport, and the client on a platform's, against a real browser's. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Page } from "playwright-core";
import { certificateHash } from "../../core/identity/certificate_hashes.ts";
import type { Listener, Session, Stream } from "../../core/transport.ts";
import { bounded } from "../../tests/bounded.ts";
import { callPage, CHROMIUM, openPage } from "../../tests/chromium.ts";
import { testGround } from "../../tests/network_fixture.ts";
import { find, testWith } from "../../tests/require.ts";
import { readAll, serveEcho, write } from "../../tests/streams.ts";
import { bytes, text } from "../../tests/text.ts";
import type { WebTransportSession } from "./session.ts";
import type * as Lib from "./test_page.ts";
import type { Relay } from "./test_page.ts";
import { webtransportTransport } from "./transport.ts";

const test = suite("webtransport: chromium");
const { cert, key } = await testGround();
const browser = find(CHROMIUM)
  ? await openPage(new URL("./test_page.ts", import.meta.url))
  : undefined;

/** Registers a test with a listener that the page may connect to. */
function check(name: string, body: (ground: Ground) => Promise<void>): void {
  testWith(test, [CHROMIUM], name, async () => {
    const origins = [browser!.origin];
    await using listener = await webtransportTransport({
      allowsOrigin: (origin) => origins.includes(origin),
    }).listen({ hostname: "127.0.0.1", port: 0, cert, key });
    const hash = [...await certificateHash(cert)];
    const relay = { host: `127.0.0.1:${listener.address.port}`, hash };
    const sessions: Session[] = [];
    await body({ page: browser!.page, listener, relay, origins, sessions });
    for (const session of sessions) await session[Symbol.asyncDispose]();
  });
}

interface Ground {
  readonly page: Page;
  readonly listener: Listener;
  readonly relay: Relay;
  /** Those that are allowed. */
  readonly origins: string[];
  /** Those that are closed when the test is done. */
  readonly sessions: Session[];
}

check("streams end in each direction on its own", async (ground) => {
  const { page, session, id } = await connected(ground);
  const asking = call(page, "ask", id, "question");
  const stream = await incoming(session);
  assert.is(text(await readAll(stream)), "question");
  await write(stream, bytes("answer after the question has ended"));
  await stream.writable.close();
  assert.is(await bounded("the answer", asking), "answer after the question has ended");
});

check("the relay opens streams too", async (ground) => {
  const { page, session, id } = await connected(ground);
  const answering = call(page, "answer", id, "answer");
  const stream = await session.openStream();
  await write(stream, bytes("from the relay"));
  await stream.writable.close();
  assert.is(text(await bounded("the answer", readAll(stream))), "answer");
  assert.is(await answering, "from the relay");
});

check("1,000 streams, 20 at once", async (ground) => {
  const { page, session, id } = await connected(ground);
  serveEchoes(session);
  assert.is(await bounded("the streams", call(page, "askMany", id, 1_000, 20)), 1_000);
});

check("16 MiB arrive whole and in order, both ways at once", async (ground) => {
  const { page, session, id } = await connected(ground);
  serveEchoes(session);
  assert.is(await bounded("the bytes", call(page, "echo", id, 16 * 1024 * 1024)), true);
});

check("an aborted writer stops its reader, a cancelled reader fails its writer", async (ground) => {
  const { page, session, id } = await connected(ground);
  const aborting = call(page, "giveUp", id, "writing");
  const aborted = await begun(session);
  await bounded("the page", aborting);
  const rest = await bounded(
    "the reader",
    aborted.readable.getReader().read().then(
      ({ done }) => done ? "an end" : "more",
      () => "an error",
    ),
  );
  assert.ok(rest !== "more", "the reader was given more than was written");
  const cancelling = call(page, "giveUp", id, "reading");
  const cancelled = await begun(session);
  await bounded("the page", cancelling);
  const writer = cancelled.writable.getWriter();
  const writing = (async () => {
    for (let i = 0; i < 10_000; i++) await writer.write(new Uint8Array(65_536));
    return "all was taken";
  })().catch(() => "rejected");
  assert.is(await bounded("the writer", writing), "rejected");
});

check("datagrams go both ways", async ({ page, listener, relay }) => {
  const calling = call(page, "datagram", relay);
  const session = await accepted(listener) as WebTransportSession;
  for await (const datagram of session.datagrams.readable) await session.datagrams.send(datagram);
  assert.is(await bounded("a datagram", calling), "datagram");
});

check("a page's close says why", async (ground) => {
  const { page, session, id } = await connected(ground);
  await call(page, "close", id, 7, "going for lunch");
  const info = await bounded("the relay", session.closed);
  assert.equal({ ...info }, { code: 7, reason: "going for lunch" });
  const next = await bounded("incoming", session.incoming.next());
  assert.is(next.done, true);
  assert.is((await call(page, "ended", id)).code, 7);
});

check("the relay's close says why", async (ground) => {
  const { page, session, id } = await connected(ground);
  const ended = call(page, "ended", id);
  session.close({ code: 2, reason: "the relay is shutting down" });
  const info = await bounded("the page", ended);
  assert.equal(info, { code: 2, reason: "the relay is shutting down" });
  assert.is((await bounded("this end", session.closed)).code, 2);
});

check("a page of another origin is turned away", async ({ page, listener, relay, origins }) => {
  origins.splice(0, 1, "https://elsewhere.example");
  const connecting = call(page, "connect", relay).then(() => "connected", () => "refused");
  const accepting = accepted(listener).then(() => "", (error) => error.message);
  assert.is(await bounded("the page", connecting), "refused");
  assert.match(await bounded("the relay", accepting), "403");
});

check("a certificate of another hash is refused", async ({ page, listener, relay }) => {
  const wrong = { ...relay, hash: relay.hash.map((byte) => byte ^ 1) };
  accepted(listener).catch(() => {}); // What the page says is what counts.
  const connecting = call(page, "connect", wrong).then(() => "connected", () => "refused");
  assert.is(await bounded("the page", connecting), "refused");
});

type Calls = typeof Lib;

test.after(async () => await browser?.[Symbol.asyncDispose]());
test.run();

function call<Name extends keyof Calls>(
  page: Page,
  name: Name,
  ...args: Parameters<Calls[Name]>
): Promise<Awaited<ReturnType<Calls[Name]>>> {
  return callPage<Calls, Name>(page, name, ...args);
}

async function accepted(listener: Listener): Promise<Session> {
  const { value } = await bounded("a connection", listener[Symbol.asyncIterator]().next());
  return await bounded("a session", value.accept());
}

async function connected({ page, listener, relay, sessions }: Ground) {
  const connecting = call(page, "connect", relay);
  const session = await accepted(listener);
  sessions.push(session);
  return { page, session, id: await bounded("the page", connecting) };
}

async function incoming(session: Session): Promise<Stream> {
  const { value } = await bounded("a stream", session.incoming.next());
  return value!;
}

/** A stream on which each end has heard the other. */
async function begun(session: Session): Promise<Stream> {
  const stream = await incoming(session);
  const reader = stream.readable.getReader();
  assert.is(text((await bounded("the first bytes", reader.read())).value), "begun");
  reader.releaseLock();
  await write(stream, bytes("go on"));
  return stream;
}

async function serveEchoes(session: Session): Promise<void> {
  for await (const stream of session.incoming) serveEcho(stream).catch(() => {}); // Its peer says so.
}
