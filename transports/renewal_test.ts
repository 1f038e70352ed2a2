/** Another certificate on a listener that goes on. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Listener, Session, Transport } from "../core/transport.ts";
import { developmentCertificate } from "../stores/certificate.ts";
import { bounded } from "../tests/bounded.ts";
import { exchange, serveEchoes } from "../tests/streams.ts";
import { text } from "../tests/text.ts";
import { quic } from "./quic.ts";
import { canServeByNode } from "./websocket/tls_server.ts";
import { websocket } from "./websocket/transport.ts";
import { webtransportTransport } from "./webtransport/transport.ts";

const test = suite("another certificate");
const dir = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const names = ["127.0.0.1"];
const [before, after] = await Promise.all(
  ["before", "after"].map((name) => developmentCertificate(`${dir}/${name}`, { names })),
);

for (const transport of [quic, webtransportTransport(), websocket]) {
  test(`newcomers meet it, and who is there stays (${transport.name})`, async () => {
    const options = { hostname: "127.0.0.1", port: 0, ...before! };
    await using listener = await transport.listen(options);
    const accepted = sessionsOf(listener);
    const connect = (root: string) => dial(transport, listener, root);
    await using early = await connect(before!.root);
    const theirs = await next(accepted);
    if (!listener.renew) return assert.not(canServeByNode() || transport !== websocket);
    listener.renew(after!);
    // Of QUIC one more may meet the certificate of before.
    await connect(after!.root).then((session) => session.close(), () => {});
    for (let i = 0; i < 3; i++) {
      await using session = await connect(after!.root);
      await connect(before!.root).then(
        () => assert.unreachable("the certificate of before is still shown"),
        (error) => assert.is(error.code, "unreachable"),
      );
      assert.ok(session);
    }
    const serving = serveEchoes(theirs, 1);
    assert.is(text(await exchange(await early.openStream(), "still here")), "still here");
    await serving;
  });
}

test.run();

async function dial(transport: Transport, listener: Listener, root: string): Promise<Session> {
  const url = new URL(`tunnel://127.0.0.1:${listener.address.port}`);
  return await bounded("the dial", transport.connect(url, { caCerts: [root] }));
}

/** Accepts all that come. */
function sessionsOf(listener: Listener): ReadableStream<Session> {
  return new ReadableStream({
    async start(controller) {
      for await (const incoming of listener) {
        incoming.accept().then(
          (session) => controller.enqueue(session),
          () => {}, // The client did not like the certificate.
        );
      }
      controller.close();
    },
  });
}

async function next(sessions: ReadableStream<Session>): Promise<Session> {
  const reader = sessions.getReader();
  const { value } = await bounded("a session", reader.read());
  reader.releaseLock();
  return value!;
}
