/** Who may reach what: every dial, every attach, and what is cut when that changes. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget, type Fleet, startFleet } from "../../tests/fleet.ts";
import { apply, revoke, revokeGrants } from "../../tests/rights.ts";
import { bytes, text } from "../../tests/text.ts";
import type { Channel } from "../channel/channel.ts";
import { delay } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import type { Duplex } from "../duplex.ts";
import type { Link } from "../link.ts";

const test = suite("relay: access");
const TARGET = { port: 7 };

const scopes: [string, boolean][] = [
  ["*:*", true],
  ["x:7", true],
  ["x*:7,8", true],
  ["x:*", true],
  ["x:8", false],
  ["y:7", false],
  ["xx*:7", false],
  ["x:10.0.0.5:7", false],
];
for (const [scope, allowed] of scopes) {
  test(`with the grant ${scope} a dial of x:7 is ${allowed ? "accepted" : "refused"}`, async () => {
    await using fleet = await startFleet();
    await fleet.device("x");
    const operator = await signIn(fleet, [{ scope }]);
    const dial = fleet.dial(operator, "x", TARGET);
    if (allowed) return void await bounded("the dial", dial);
    const error = await bounded("the dial", failureOf(dial));
    assert.is(error.code, "refused");
    assert.match(error.message, "operator anna has no grant for it; have an admin give one");
  });
}

test("who has no grant for a device is told nothing of it, online or not, known or not", async () => {
  await using fleet = await startFleet();
  await fleet.device("there");
  const operator = await signIn(fleet, [{ scope: "mine-*:22" }]);
  for (const device of ["there", "nowhere"]) {
    const dialled = await failureOf(fleet.dial(operator, device, TARGET));
    const asked = await failureOf(operator.device(device));
    assert.equal([dialled.code, asked.code], ["refused", "refused"]);
    assert.is(
      asked.message.replaceAll(device, "?"),
      (await failureOf(operator.peer(device)))
        .message.replaceAll(device, "?").replace("for peer", "for device"),
    );
  }
  assert.equal(await operator.devices(), []);
});

test("the list of devices has those that one may dial, over all of its pages", async () => {
  await using fleet = await startFleet();
  const seen = { at: 1, transport: "quic", remote: { hostname: "192.0.2.1", port: 1 } };
  for (let i = 0; i < 400; i++) await fleet.store.devicesSeen([[`a-${1_000 + i}`, seen]]);
  await fleet.store.devicesSeen([["z-1", seen]]);
  const operator = await signIn(fleet, [{ scope: "z-*:22" }, { scope: "a-1005:22" }]);
  assert.equal((await bounded("the list", operator.devices())).map(({ id }) => id), [
    "a-1005",
    "z-1",
  ]);
});

/** What ends a channel that is under way, and what both ends then read. */
const cuts: [string, (fleet: Fleet) => Promise<unknown>, RegExp][] = [
  ["the grant is revoked", revokeGrants, /no grant/],
  [
    "the operator is revoked",
    (fleet) => apply(fleet, revoke("operator", "anna")),
    /no grant|revoked/,
  ],
];
for (const [what, act, words] of cuts) {
  test(`when ${what}, a channel under way is cut at both ends, and stays so`, async () => {
    const target = watchedTarget();
    await using fleet = await startFleet();
    await fleet.device("x", { connect: target.connect });
    const operator = await signIn(fleet, [{ scope: "x:7" }]);
    // What a supervisor does: whoever has lost a session signs in again.
    let lost = false;
    operator.closed.catch(() => lost = true);
    const links = { link: async () => lost ? await fleet.operator("anna") : operator };
    const dialer = await fleet.dialer(links, {}, "anna");
    const channel = await working(await bounded("the dial", dialer.dial("x", TARGET)));
    await act(fleet);
    await fleet.relay.access.refresh();
    const error = await bounded("the operator's end", failureOf(channel.closed));
    assert.match(error.message, words);
    assert.match((await bounded("the device's end", target.reset)).message, words);
    await bounded("nothing is left at the device", until(() => fleet.devices[0]!.size === 0));
    await dialer.close();
  });
}

test("a grant that ends by itself cuts what goes by it, and no sooner than the last of its kind", async () => {
  let now = Date.now();
  await using fleet = await startFleet({ now: () => now, policyInterval: 1 });
  const target = watchedTarget();
  await fleet.device("x", { connect: target.connect });
  const operator = await signIn(fleet, [
    { scope: "x:7", until: now + 10_000 },
    { scope: "*:7", until: now + 20_000 },
  ]);
  const dialer = await fleet.dialer(operator, {}, "anna");
  const channel = await working(await bounded("the dial", dialer.dial("x", TARGET)));
  now += 15_000;
  await fleet.relay.access.refresh();
  await working(channel);
  now += 5_000;
  assert.match((await bounded("the end", failureOf(channel.closed))).message, /no grant/);
  assert.is((await bounded("the target", target.reset)).code, "refused");
  assert.is((await failureOf(dialer.dial("x", TARGET))).code, "refused");
  await dialer.close();
});

test("a change by another process counts without a word to this one", async () => {
  await using fleet = await startFleet({ policyInterval: 1 });
  await fleet.device("x");
  const operator = await signIn(fleet, []);
  assert.is((await failureOf(fleet.dial(operator, "x", TARGET))).code, "refused");
  await apply(fleet, { type: "grant", operator: "anna", scope: "x:7" });
  for (;;) {
    const dialled = await bounded("a dial", fleet.dial(operator, "x", TARGET).catch(code));
    if (typeof dialled !== "string") break;
    assert.is(dialled, "refused");
    await delay(10); // A store tells nobody that it has changed.
  }
});

for (const role of ["operator", "device"] as const) {
  test(`a revoked ${role}'s session ends for good, and its credential signs in no more`, async () => {
    await using fleet = await startFleet();
    const name = role === "operator" ? "anna" : "x";
    const link = role === "operator" ? await signIn(fleet, []) : await fleet.device("x");
    const other = await fleet.operator("bob");
    await apply(fleet, revoke(role, name));
    await fleet.relay.access.refresh();
    const error = await bounded("the session", failureOf(link.closed));
    assert.is(error.code, "refused");
    assert.match(error.message, new RegExp(`${role} ${name} was revoked at`));
    await bounded("the other's session goes on", other.ping());
    // Its second has not passed: whoever is invited again now is not taken for the one before.
    const again = await failureOf(signInAs(fleet, role, name));
    assert.is(again.code, "refused");
  });
}

test("a credential that never came here is refused when its name was revoked before", async () => {
  await using fleet = await startFleet();
  const { identity } = await fleet.member("device", "x");
  await apply(fleet, { type: "revoke-member", role: "device", name: "x", unseen: true });
  await fleet.relay.access.refresh();
  const error = await failureOf(fleet.signIn(identity));
  assert.is(error.code, "refused");
  assert.match(error.message, /device x was revoked at/);
});

test("a re-attach is asked for its grant like a dial", async () => {
  await using fleet = await startFleet();
  const target = watchedTarget();
  await fleet.device("x", { connect: target.connect });
  const first = await signIn(fleet, [{ scope: "x:7" }]);
  let link = first;
  const links = { link: () => Promise.resolve(link) };
  const dialer = await fleet.dialer(links, {}, "anna");
  const channel = await working(await bounded("the dial", dialer.dial("x", TARGET)));
  // The policy changes while the channel has no path: there is no dial to cut.
  link = await signIn(fleet, []);
  first.session.close();
  await revokeGrants(fleet);
  await fleet.relay.access.refresh();
  assert.match((await bounded("the end", failureOf(channel.closed))).message, /no grant/);
  await dialer.close();
});

test("nobody signs in or dials while the audit trail cannot be written", async () => {
  await using fleet = await startFleet({ audit: { maxWaiting: 3, gather: 1 } });
  await fleet.device("x");
  const operator = await signIn(fleet, [{ scope: "x:7" }]);
  const { record } = fleet.store;
  fleet.store.record = () => Promise.reject(new Error("no space left"));
  try {
    const accepted: Channel[] = [];
    const refused = async () => {
      for (;;) {
        const dialled = await fleet.dial(operator, "x", TARGET).catch((cause) => cause);
        if (dialled instanceof Error) return dialled;
        accepted.push(dialled);
      }
    };
    const words = /the relay's audit trail cannot be written/;
    assert.match((await bounded("a refusal", refused())).message, words);
    assert.ok(accepted.length <= 3, `${accepted.length} were accepted unrecorded`);
    const late = await bounded("a sign-in", failureOf(fleet.operator("bob")));
    assert.match(late.message, words);
    // What goes on may end, and that is recorded as soon as it can be.
    operator.session.close();
    await bounded("its end", operator.closed.catch(() => {}));
    assert.ok(accepted.length > 0, "none was accepted");
    await bounded("the dials' ends", Promise.all(accepted.map(({ closed }) => failureOf(closed))));
  } finally {
    fleet.store.record = record;
  }
  const ends = async () => {
    const types = (await trail(fleet)).map(({ type }) => type);
    return types.includes("sign-out") && types.includes("dial ended");
  };
  await bounded("the trail", until(ends));
});

test("the audit trail has sign-ins, dials with their bytes, refusals and ends", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const operator = await signIn(fleet, [{ scope: "x:7" }]);
  const channel = await bounded("the dial", fleet.dial(operator, "x", TARGET, { reason: "4711" }));
  await channel.write(bytes("hello"));
  assert.is(text(await channel.read()), "hello");
  await channel.closeWrite();
  assert.is(await channel.read(), null);
  await bounded("the end", channel.closed);
  await failureOf(fleet.dial(operator, "x", { port: 8 }));
  operator.session.close();
  const wanted = ["sign-in", "sign-in", "dial", "dial ended", "dial refused", "sign-out"];
  await bounded("the trail", until(async () => (await trail(fleet)).length >= wanted.length));
  const rows = await trail(fleet);
  assert.equal(rows.map(({ type }) => type).sort(), [...wanted].sort());
  const ended = rows.find(({ type }) => type === "dial ended")!;
  const { by, from, device, operator: who, target, reason } = ended;
  const facts = { by, from, device, who, target, reason };
  assert.equal(facts, {
    ...{ by: "operator:anna", from: "relay", device: "x", who: "anna" },
    ...{ target: "7", reason: "4711" },
  });
  // Sealed records, both ways: more than what they carry.
  assert.ok(ended.sent! > 5 && ended.received! > 5 && ended.took! >= 0);
  assert.match(rows.find(({ type }) => type === "dial refused")!.why!, /no grant/);
});

test.run();

/** An operator anna with these grants and no others. */
async function signIn(
  fleet: Fleet,
  grants: readonly { scope: string; until?: number }[],
): Promise<Link> {
  return await fleet.operator("anna", { grants });
}

/** The same name with a credential of now. */
async function signInAs(fleet: Fleet, role: "operator" | "device", name: string): Promise<Link> {
  return role === "operator"
    ? await fleet.operator(name, { grants: [] })
    : await fleet.device(name);
}

/** Sees a byte there and back. */
async function working(channel: Channel): Promise<Channel> {
  await bounded("a write", channel.write(bytes("!")));
  assert.is(text(await bounded("the echo", channel.read())), "!");
  return channel;
}

/** An echo that tells when it was reset. */
function watchedTarget() {
  const { promise: reset, resolve } = Promise.withResolvers<TunnelError>();
  const connect = async (): Promise<Duplex> => {
    const target = await echoTarget();
    return {
      ...target,
      reset(error) {
        resolve(error);
        target.reset(error);
      },
    };
  };
  return { connect, reset };
}

async function trail({ store }: Fleet) {
  const rows = await store.audit({ limit: 100 });
  return rows.filter(({ by, type }) => by !== "local:test" && type !== "invite");
}

/** Settles when a condition holds, which the caller bounds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await delay(0);
}

function code(error: unknown): string {
  return error instanceof TunnelError ? error.code : String(error);
}
