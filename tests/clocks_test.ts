/** Clocks that differ: up to 5 minutes nobody notices, beyond that the words say what to do. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeRequest, readRequest } from "../core/identity/request.ts";
import { importPrivateKey } from "../core/identity/keys.ts";
import { Verifier } from "../core/identity/credential.ts";
import { audienceOf } from "../core/identity/proof.ts";
import { SILENT } from "../core/log.ts";
import { generateMemberKeys, publicKeysOf } from "../core/membership.ts";
import { Renewal } from "../core/renewal.ts";
import { bounded } from "./bounded.ts";
import { failureOf } from "./failure.ts";
import { type Fleet, startFleet } from "./fleet.ts";

const test = suite("clocks");

const NOW = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

/** Minutes by which each clock is ahead. */
interface Clocks {
  readonly authority: number;
  readonly relay: number;
  readonly device: number;
  readonly operator: number;
}

const NAMES = ["authority", "relay", "device", "operator"] as const;
const together: Clocks = { authority: 0, relay: 0, device: 0, operator: 0 };
const at = (minutes: number) => NOW + minutes * MINUTE;

/** Each clock either right or ahead by `minutes`. */
function combinations(minutes: number): Clocks[] {
  return Array.from({ length: 2 ** NAMES.length }, (_, bits) => {
    const ahead = NAMES.map((name, i) => [name, bits & (1 << i) ? minutes : 0]);
    return Object.fromEntries(ahead) as unknown as Clocks;
  });
}

for (const clocks of combinations(5)) {
  const ahead = NAMES.filter((name) => clocks[name] > 0).join(", ") || "none";
  test(`5 minutes ahead: ${ahead}. New credentials are taken, used and renewed`, async () => {
    await using fleet = await startFleet({ now: () => at(clocks.relay) });
    await dial(fleet, clocks, at(clocks.authority));
    await renew(fleet, clocks);
  });

  test(`5 minutes ahead: ${ahead}. Credentials are good to their last minute`, async () => {
    await using fleet = await startFleet({ now: () => at(clocks.relay) });
    // A minute is left by the relay's clock, which is the one that counts.
    await dial(fleet, clocks, at(clocks.relay) - 59 * MINUTE);
  });
}

const ahead: [string, Partial<Clocks>][] = [
  ["authority is ahead of the relay", { relay: -6 }],
  ["authority is ahead of the device", { device: -6 }],
  ["authority is ahead of the operator", { operator: -6 }],
  ["authority is ahead of all", { authority: 6 }],
];
for (const [what, clocks] of ahead) {
  test(`6 minutes: the ${what}. A new credential is refused, with what to do`, async () => {
    const all = { ...together, ...clocks };
    await using fleet = await startFleet({ now: () => at(all.relay) });
    const error = await failureOf(dial(fleet, all, at(all.authority)));
    assert.is(error.code, "refused");
    assert.match(error.message, /not valid before 2026.* here it is 202.*set the clocks/);
  });
}

for (const who of ["device", "operator"] as const) {
  test(`6 minutes: the ${who} is ahead of the relay. What has not ended seems to have`, async () => {
    const clocks = { ...together, [who]: 6 };
    await using fleet = await startFleet({ now: () => NOW });
    const error = await failureOf(dial(fleet, clocks, NOW - 59.5 * MINUTE));
    assert.is(error.code, "refused");
    assert.match(error.message, /expired at 2026.* here it is 2026.*set the clocks/);
  });
}

test("6 minutes: the relay is ahead. It knows no tolerance at the end of a credential", async () => {
  await using fleet = await startFleet({ now: () => at(6) });
  const error = await failureOf(dial(fleet, { ...together, relay: 6 }, NOW - 54 * MINUTE));
  assert.match(error.message, /expired at 2026.* here it is 2026.*set the clocks/);
});

test("6 minutes: a device that is behind the relay takes no renewal, and says why", async () => {
  await using fleet = await startFleet({ now: () => at(6) });
  const error = await failureOf(renew(fleet, { ...together, authority: 0, relay: 6 }));
  assert.is(error.code, "refused");
  assert.match(error.message, /not valid before.*set the clocks/);
});

test("a request may be 5 minutes ahead of the authority, and not 6", async () => {
  const keys = await generateMemberKeys();
  const privateKey = await importPrivateKey(keys.privateKey);
  const who = { role: "device", name: "x", ...await publicKeysOf(keys), privateKey } as const;
  await readRequest(await makeRequest({ ...who, now: at(5) }), NOW);
  const error = await failureOf(readRequest(await makeRequest({ ...who, now: at(6) }), NOW));
  assert.match(error.message, /set the clocks/);
});

test.run();

/** A device and an operator, with credentials for an hour from `issued` on, and a dial. */
async function dial(fleet: Fleet, clocks: Clocks, issued: number): Promise<void> {
  const times = { ttl: 60 * MINUTE, now: issued };
  const member = await fleet.member("device", "x", times);
  await fleet.device("x", { member, now: () => at(clocks.device) });
  const operator = await fleet.member("operator", "o", times);
  const dialer = await fleet.dialer(await fleet.signIn(operator.identity), {
    identity: operator.identity,
    now: () => at(clocks.operator),
    resumeWindow: 0,
  }, "o");
  const channel = await bounded("the dial", dialer.dial("x", { port: 7 }));
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await bounded("an echo", channel.read()))!], [1]);
}

async function renew(fleet: Fleet, clocks: Clocks): Promise<void> {
  const times = { ttl: 60 * MINUTE, now: at(clocks.authority) };
  const { identity } = await fleet.member("device", "y", times);
  const link = await fleet.signIn(identity);
  await new Renewal({
    ...{ membership: identity, role: "device", name: "y", log: SILENT },
    verifier: new Verifier(fleet.authority.publicJwk),
    links: { link: () => Promise.resolve(link) },
    audience: audienceOf(fleet.url),
    keep: () => Promise.resolve(),
    now: () => at(clocks.device),
  }).renew();
}
