/** A fleet comes back to its relay: spread out, without a wasted attempt, and dials do not wait for it. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Dialer } from "../core/dialer.ts";
import { superviseEndpoint } from "../core/endpoint.ts";
import { Verifier } from "../core/identity/credential.ts";
import { SILENT } from "../core/log.ts";
import { bounded } from "./bounded.ts";
import { startFleet } from "./fleet.ts";
import { newSeed, Random } from "./random.ts";

const test = suite("the return of a fleet");
const DEVICES = 200;
/** Devices that the relay knows of: for each the return is spread over 2.5 ms. */
const KNOWN = 1_000;

test("devices and their dials, when all sessions are lost at once", async () => {
  const random = new Random(newSeed());
  await using fleet = await startFleet();
  const sighting = { at: 1, transport: "memory", remote: { hostname: "h", port: 1 } };
  const names = Array.from({ length: KNOWN }, (_, number) => `d-${number}`);
  await fleet.store.devicesSeen(names.map((name) => [name, sighting]));
  await fleet.relay.access.refresh();

  const spreads = new Set<number>();
  const running: Promise<void>[] = [];
  const comeBack = names.slice(0, DEVICES).map(() => Promise.withResolvers<void>());
  await using stop = stopping(running);
  const { identity } = await fleet.member("operator", "o");
  const operator = superviseEndpoint({
    ...{ relay: fleet.url, connector: fleet.connector, agent: "test", log: SILENT },
    claim: () => identity.claim(),
  });
  running.push(operator.run(stop.signal));
  const verifier = new Verifier(fleet.authority.publicJwk);
  await using dialling = closing(new Dialer({ links: operator, identity, verifier }));
  await bounded("the operator", operator.link(60_000));

  const signIns = () => fleet.count("sign_ins_total", "accepted");
  /** Sign-ins from the beginning of a dial to its end. */
  const dial = async (id: string) => {
    const began = signIns();
    const channel = await dialling.dialer.dial(id, { port: 7 });
    await channel.closeWrite();
    while (await channel.read() !== null);
    return signIns() - began;
  };
  let isLost = false;
  await bounded(
    "the fleet",
    Promise.all(comeBack.map(async (back, number) => {
      const id = names[number]!;
      const member = await fleet.member("device", id);
      const device = fleet.serve(id, { member });
      const supervisor = superviseEndpoint({
        ...{ relay: fleet.url, connector: fleet.connector, agent: "test", log: SILENT },
        claim: member.claim,
        epoch: () => device.epoch,
        supervisor: { backoff: { random: () => random.next() / 2 ** 32 } },
        onUp(link) {
          device.serve(link);
          spreads.add(link.spread);
          if (isLost) back.resolve();
        },
      });
      running.push(supervisor.run(stop.signal));
      await supervisor.link(60_000);
    })),
  );
  assert.equal(spreads, new Set([KNOWN * 2.5]));

  const before = signIns();
  isLost = true;
  for (const session of [...fleet.transport.sessions]) session.lose();
  const dials = comeBack.map(({ promise }, number) => promise.then(() => dial(names[number]!)));
  const meanwhile = await bounded("a dial to each as it is back", Promise.all(dials));
  const most = Math.max(...meanwhile);
  assert.ok(most < DEVICES / 2, `a dial waited for ${most} sign-ins`);
  // One each: nobody was turned away or came twice.
  assert.is(signIns() - before, DEVICES + 1);
});

test.run();

/** A signal that ends what is running, and waits for that. */
function stopping(running: readonly Promise<void>[]): AsyncDisposable & { signal: AbortSignal } {
  const stop = new AbortController();
  return {
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await bounded("the end", Promise.all(running));
    },
  };
}

function closing(dialer: Dialer): AsyncDisposable & { dialer: Dialer } {
  return { dialer, [Symbol.asyncDispose]: () => dialer.close() };
}
