/** Both ends of a session that takes an outgrown one's place, over real QUIC. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Incoming, Listener, Session } from "../../core/transport.ts";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { testGround } from "../../tests/network_fixture.ts";
import { quic } from "../quic.ts";

const test = suite("wish");
const { cert, key, root } = await testGround();
const localhost = { hostname: "127.0.0.1", port: 0, cert, key };

test("the session in an outgrown one's place has BBR at both ends, the next has Cubic", async () => {
  using controls = new Controls();
  await using listener = await quic.listen(localhost);
  const outgrown = await pair(listener);
  outgrown.relay.welcome!();
  const successor = await pair(listener, outgrown.client);
  const other = await pair(listener);
  assert.equal(controls.dialled, ["default", "low-latency", "default"]);
  assert.equal(controls.accepted, ["default", "low-latency", "default"]);
  successor.relay.welcome!();
  const last = await pair(listener, successor.client);
  assert.equal([controls.dialled.at(-1), controls.accepted.at(-1)], ["default", "default"]);
  for (const { client } of [outgrown, successor, other, last]) client.close();
});

test("a relay that takes no wish leaves the session as it is", async () => {
  await using listener = await quic.listen(localhost);
  const { client } = await pair(listener); // Nobody's wish is taken before the sign-in.
  const url = urlOf(listener);
  const error = await failureOf(quic.connect(url, { caCerts: [root], replaces: client }));
  assert.is(error.code, "unreachable");
});

test.run();

/** Both ends of one more session. */
async function pair(
  listener: Listener,
  replaces?: Session,
): Promise<{ client: Session; relay: Session }> {
  const connecting = quic.connect(urlOf(listener), { caCerts: [root], replaces });
  const incoming = listener[Symbol.asyncIterator]().next();
  const { value }: { value: Incoming } = await bounded("a connection", incoming);
  const relay = await value.accept();
  return { client: await bounded("the client", connecting), relay };
}

function urlOf(listener: Listener): URL {
  return new URL(`tunnel://127.0.0.1:${listener.address.port}`);
}

/** What Deno is told of congestion control while it lives, in order. */
class Controls implements Disposable {
  readonly dialled: (string | undefined)[] = [];
  readonly accepted: (string | undefined)[] = [];
  readonly #undo: () => void;

  constructor() {
    const { connectQuic } = Deno;
    const { prototype } = (Deno as unknown as { QuicIncoming: { prototype: Deno.QuicIncoming } })
      .QuicIncoming;
    const { accept } = prototype;
    const { dialled, accepted } = this;
    Deno.connectQuic = ((options) => {
      dialled.push(options.congestionControl);
      return connectQuic(options);
    }) as typeof connectQuic;
    prototype.accept = function (this: Deno.QuicIncoming, options) {
      accepted.push(options?.congestionControl);
      return accept.call(this, options);
    } as typeof accept;
    this.#undo = () => {
      Deno.connectQuic = connectQuic;
      prototype.accept = accept;
    };
  }

  [Symbol.dispose](): void {
    this.#undo();
  }
}
