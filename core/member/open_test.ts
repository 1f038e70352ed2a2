/** The library's two functions, over sessions in memory. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget, type Fleet as Ground, startFleet } from "../../tests/fleet.ts";
import { invite, runtimeOf, whereabouts } from "../../tests/library.ts";
import { bytes } from "../../tests/text.ts";
import type { DialAcceptor, ServedStream } from "../accept.ts";
import { TunnelError } from "../errors.ts";
import { unverified } from "../identity/credential.ts";
import { generateMemberKeys, type MemberState } from "../membership.ts";
import type { FleetStream } from "./fleet.ts";
import type { Identity, MemberStore } from "./identity.ts";
import { parseIdentity } from "./identity.ts";
import { memoryStore } from "./memory_store.ts";
import { type FleetOptions, openDevice, openFleet, type ServeOptions } from "./open.ts";

const test = suite("library");

test("bytes go both ways, each direction ends on its own, and the end proves that all arrived", async () => {
  await using ground = await startFleet();
  await using _device = await serve(ground, { accept: () => echo });
  await using fleet = await connect(ground);
  const stream = await fleet.dial("x", 22, { reason: "ticket 4711" });
  assert.equal(stream.info, { device: "x", target: { port: 22 }, transport: "memory" });
  const sent = crypto.getRandomValues(new Uint8Array(60_000));
  const reading = new Response(stream.readable).bytes();
  const writer = stream.writable.getWriter();
  for (let i = 0; i < 20; i++) await writer.write(sent);
  await writer.close();
  const got = await bounded("the echo", reading);
  assert.is(got.length, 20 * sent.length);
  for (let i = 0; i < 20; i++) {
    assert.equal(got.subarray(i * sent.length, (i + 1) * sent.length), sent);
  }
  await bounded("the end", stream.closed);
});

test("a join string is used once, and may stay where it is configured", async () => {
  await using ground = await startFleet();
  const store = memoryStore();
  const join = await invite(whereabouts(ground), "operator", "anna");
  const credentials = new Set<string>();
  for (let i = 0; i < 2; i++) {
    await using fleet = await openFleet(runtimeOf(ground, echoTarget), { store, join });
    assert.is(fleet.operator, "anna");
    credentials.add(store.identities[0]!.credential);
  }
  await using _fleet = await openFleet(runtimeOf(ground, echoTarget), { store });
  assert.is(credentials.size, 1);
  const other = await failureOf(openFleet(runtimeOf(ground, echoTarget), {
    store: memoryStore(),
    join,
  }));
  assert.is(other.code, "refused");
});

test("an identity goes on as JSON, and a store is told of it before it is used", async () => {
  await using ground = await startFleet();
  const written: string[] = [];
  const store = memoryStore([], (identity) => void written.push(JSON.stringify(identity)));
  const join = await invite(whereabouts(ground), "operator", "anna");
  await (await openFleet(runtimeOf(ground, echoTarget), { store, join })).close();
  const identity = parseIdentity(written[0]!);
  await using fleet = await openFleet(runtimeOf(ground, echoTarget), { identity });
  assert.is(fleet.operator, "anna");
  const broken = written[0]!.replace("OKP", "RSA");
  assert.not.match(
    (await failureOf(Promise.resolve().then(() => parseIdentity(broken)))).message,
    /eyJ/,
  );
  const failing = memoryStore([], () =>
    Promise.reject(
      new TunnelError("unavailable", {
        action: "keep it",
        state: "the disk is full",
      }),
    ));
  const again = await invite(whereabouts(ground), "operator", "berta");
  const error = await failureOf(
    openFleet(runtimeOf(ground, echoTarget), { store: failing, join: again }),
  );
  assert.match(error.message, /the disk is full/);
});

test("keys that nobody can read sign in, dial, serve, and are rotated", async () => {
  await using ground = await startFleet();
  const [operators, devices] = [sealedStore(), sealedStore()];
  await using device = await serve(ground, { store: devices, accept: () => echo });
  await using fleet = await connect(ground, { store: operators });
  const { privateKey, agreementKey } = devices.kept!.state;
  for (const pair of [privateKey, agreementKey]) {
    assert.is((pair as CryptoKeyPair).privateKey.extractable, false);
  }
  await echoes(await fleet.dial("x", 7));
  const { issuedAt } = await device.rotateKeys();
  assert.is.not(devices.kept!.state.agreementKey, agreementKey);
  assert.is(unverified(devices.kept!.state.credential).issuedAt, issuedAt);
  await echoes(await fleet.dial("x", 7));
  // From what was kept, as after a restart.
  await device.close();
  await using _again = await openDevice(runtimeOf(ground, echoTarget), {
    ...{ id: "x", store: devices, accept: () => echo },
  });
  await echoes(await fleet.dial("x", 7));
});

test("a device's program sees who dials what and why, and has the first word", async () => {
  await using ground = await startFleet();
  const seen: unknown[] = [];
  const accept: DialAcceptor = ({ operator, key, target, reason, refuse }) => {
    seen.push([operator, key.crv, key.x.length, target, reason]);
    if (target.port === 1) throw refuse("only after 22:00");
    if (target.port === 2) throw new Error("secret detail");
    if (target.port === 3) return undefined;
    return echo;
  };
  await using _device = await serve(ground, { accept, allow: [3] });
  await using fleet = await connect(ground);
  await echoes(await fleet.dial("x", "printer:9100", { reason: "paper" }));
  assert.equal(seen, [["anna", "X25519", 43, { host: "printer", port: 9100 }, "paper"]]);
  const refused = await failureOf(fleet.dial("x", 1));
  assert.equal([refused.code, refused.parts.state], ["refused", "only after 22:00"]);
  const failed = await failureOf(fleet.dial("x", 2));
  assert.is(failed.code, "unavailable");
  assert.not.match(failed.message, /secret/);
  await echoes(await fleet.dial("x", 3));
});

test("what a program leaves to the list is refused where the list has it not", async () => {
  await using ground = await startFleet();
  await using _device = await serve(ground, { accept: () => {} });
  await using fleet = await connect(ground);
  assert.is((await failureOf(fleet.dial("x", 22))).code, "target");
});

test("streams that a program returns are joined to the dial", async () => {
  await using ground = await startFleet();
  await using _device = await serve(ground, {
    accept: () => new TransformStream<Uint8Array, Uint8Array>(),
  });
  await using fleet = await connect(ground);
  await echoes(await fleet.dial("x", 22));
});

test("a handler that fails resets its connection; either side may reset with words", async () => {
  await using ground = await startFleet();
  const opened = Promise.withResolvers<ServedStream>();
  await using _device = await serve(ground, {
    accept: ({ target }) =>
      target.port === 1
        ? () => Promise.reject(new Error("the printer is on fire"))
        : (stream) => opened.resolve(stream),
  });
  await using fleet = await connect(ground);
  const failing = await fleet.dial("x", 1);
  assert.is((await failureOf(bounded("the end", failing.closed))).code, "reset");
  const stream = await fleet.dial("x", 2);
  const served = await bounded("the device's end", opened.promise);
  stream.reset("it took too long");
  const error = await failureOf(bounded("the device's end", served.closed));
  assert.match(error.message, /it took too long/);
  assert.is((await failureOf(served.readable.getReader().read())).code, "reset");
});

test("a program that is yet to answer is told when its device is closed", async () => {
  await using ground = await startFleet();
  const asked = Promise.withResolvers<AbortSignal>();
  const device = await serve(ground, {
    accept({ signal }) {
      asked.resolve(signal);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
  });
  await using fleet = await connect(ground);
  const dialling = failureOf(fleet.dial("x", 1));
  const signal = await bounded("the question", asked.promise);
  await device.close();
  assert.ok(signal.aborted);
  assert.match((await bounded("the dial", dialling)).code, /offline|closed|refused|unavailable/);
});

test("closing a fleet ends its streams and its watch, in order", async () => {
  await using ground = await startFleet();
  await using _device = await serve(ground, { accept: () => echo });
  const fleet = await connect(ground);
  const stream = await fleet.dial("x", 7);
  const watching = (async () => {
    for await (const _ of fleet.watch());
  })();
  await fleet.close();
  await bounded("the watch", watching);
  await bounded("the fleet", fleet.closed);
  assert.is((await failureOf(stream.closed)).code, "closed");
  assert.is((await failureOf(fleet.devices())).code, "closed");
  assert.is((await failureOf(fleet.dial("x", 7))).code, "closed");
});

test("a device that is revoked does not come back; its program is told", async () => {
  await using ground = await startFleet();
  await using device = await serve(ground, { accept: () => echo });
  const author = { by: "local:test", at: Date.now() + 1_000 };
  await ground.store.apply({ type: "revoke-member", role: "device", name: "x" }, author);
  await ground.relay.access.refresh();
  assert.is((await failureOf(bounded("the end", device.closed))).code, "refused");
});

test("a device whose relay is away waits for it, for as long as its program does", async () => {
  await using ground = await startFleet();
  const store = memoryStore();
  const join = await invite(whereabouts(ground), "device", "x");
  await (await openDevice(runtimeOf(ground, echoTarget), { id: "x", store, join })).close();
  const tried = Promise.withResolvers<void>();
  const away = {
    connector: {
      connect() {
        tried.resolve();
        return Promise.reject(new TunnelError("unreachable", { action: "connect", state: "away" }));
      },
      improve: () => Promise.resolve(undefined),
    },
  };
  const leaving = new AbortController();
  const { signal } = leaving;
  const serving = failureOf(
    openDevice(runtimeOf(away, echoTarget), { id: "x", store, join, signal }),
  );
  await bounded("an attempt", tried.promise);
  leaving.abort();
  assert.is((await bounded("the end", serving)).code, "aborted");
});

test("an admin invites; the join string is good for who it is for", async () => {
  await using ground = await startFleet();
  await using fleet = await connect(ground);
  const device = { role: "device", name: "new" } as const;
  assert.is((await failureOf(fleet.invite(device))).code, "refused");
  const rights = { type: "rights", operator: "anna", rights: { admin: true } } as const;
  await ground.store.apply(rights, { by: "local:test", at: Date.now() });
  const join = await fleet.invite(device);
  await using served = await openDevice(runtimeOf(ground, echoTarget), {
    ...{ id: "new", store: memoryStore(), join, accept: () => echo },
  });
  await echoes(await fleet.dial(served.id, 7));
  const grants = [{ scope: "new:22,7" }];
  const operator = await fleet.invite({ role: "operator", name: "berta", grants });
  await using other = await connect(ground, { join: operator });
  assert.equal((await other.admin.grants()).map(({ scope }) => scope), ["new:22,7"]);
  assert.is((await failureOf(fleet.invite({ role: "device", name: "No" }))).code, "usage");
});

const wrong: [string, string, (ground: Ground) => Promise<unknown>][] = [
  [
    "no identity and no join string",
    "refused",
    (ground) => openFleet(runtimeOf(ground, echoTarget), { store: memoryStore() }),
  ],
  ["a device's join string", "usage", async (ground) =>
    openFleet(runtimeOf(ground, echoTarget), {
      store: memoryStore(),
      join: await invite(whereabouts(ground), "device", "x"),
    })],
  [
    "a join string of another device",
    "usage",
    async (ground) =>
      openDevice(runtimeOf(ground, echoTarget), {
        id: "y",
        store: memoryStore(),
        join: await invite(whereabouts(ground), "device", "x"),
      }),
  ],
  ["an ID that is none", "usage", (ground) => serve(ground, { id: "A/B" })],
  ["a target that is none", "usage", (ground) => serve(ground, { allow: [0] })],
  ["sealed keys for a store that writes them down", "usage", async () => {
    const keys = await generateMemberKeys("sealed");
    await memoryStore().save({ role: "device", name: "x", credential: "", ...keys } as Identity);
  }],
];

for (const [what, code, work] of wrong) {
  test(`${what}: ${code}`, async () => {
    await using ground = await startFleet();
    assert.is((await failureOf(work(ground))).code, code);
  });
}

test("targets and devices that are none are refused before anything is asked", async () => {
  await using ground = await startFleet();
  await using fleet = await connect(ground);
  const bad: [string, number | string][] = [["x", 0], ["x", 70_000], ["x", "a b:1"], ["X", 22], [
    "",
    1,
  ]];
  for (const [device, target] of bad) {
    assert.is((await failureOf(fleet.dial(device, target))).code, "usage");
  }
  assert.is((await failureOf(fleet.dial("x", 22, { reason: "two\nlines" }))).code, "usage");
});

test.run();

function echo({ readable, writable }: ServedStream): Promise<void> {
  return readable.pipeTo(writable);
}

async function echoes(stream: FleetStream): Promise<void> {
  const writer = stream.writable.getWriter();
  await writer.write(bytes("hello"));
  await writer.close();
  assert.is(await bounded("an echo", new Response(stream.readable).text()), "hello");
  await bounded("the end", stream.closed);
}

async function serve(ground: Ground, options: Partial<ServeOptions>) {
  const runtime = runtimeOf(ground, echoTarget);
  const join = await invite(whereabouts(ground), "device", "x");
  return await openDevice(
    runtime,
    { id: "x", store: memoryStore(), join, ...options } as ServeOptions,
  );
}

async function connect(ground: Ground, options: Partial<FleetOptions> = {}) {
  const join = await invite(whereabouts(ground), "operator", "anna");
  const all = { store: memoryStore(), join, ...options } as FleetOptions;
  return await openFleet(runtimeOf(ground, echoTarget), all);
}

/** As IndexedDB would be, without a browser. */
function sealedStore(): MemberStore & { kept?: { identity: Identity; state: MemberState } } {
  return {
    form: "sealed",
    load() {
      return Promise.resolve(this.kept?.identity);
    },
    save(identity) {
      this.kept = { identity, state: identity };
      return Promise.resolve();
    },
    replace(_, before, next) {
      const { identity } = this.kept!;
      assert.is(identity.credential, before);
      return this.save({ ...identity, ...next }).then(() => true);
    },
  };
}
