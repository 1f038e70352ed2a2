import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget, startFleet } from "../../tests/fleet.ts";
import { invite, runtimeOf, whereabouts } from "../../tests/library.ts";
import type { Session } from "../transport.ts";
import { memoryStore } from "./memory_store.ts";
import { openDevice, openFleet } from "./open.ts";
import type { DeviceChange } from "./watch.ts";

const test = suite("watch");

test("what there is comes first, then what changes", async () => {
  await using ground = await start();
  await using _first = await ground.device("a");
  const watch = (await ground.fleet()).watch();
  const next = () => nextOf(watch);
  assert.equal(await next(), ["added", "a", true]);
  const second = await ground.device("b");
  assert.equal(await next(), ["added", "b", true]);
  await second.close();
  assert.equal(await next(), ["offline", "b", false]);
  await using _third = await ground.device("b");
  assert.equal(await next(), ["online", "b", true]);
  await watch.return();
});

test("after the loss of a session what is different by then is yielded", async () => {
  await using ground = await start();
  await using _a = await ground.device("a");
  const b = await ground.device("b");
  const fleet = await ground.fleet();
  const session = ground.sessions.at(-1)!;
  const watch = fleet.watch();
  const next = () => nextOf(watch);
  assert.equal([await next(), await next()], [["added", "a", true], ["added", "b", true]]);
  // While nobody tells: one goes, one comes, one stays.
  ground.hold();
  (session as Session & { lose(): void }).lose();
  await b.close();
  await using _c = await ground.device("c");
  ground.release();
  assert.equal(await next(), ["offline", "b", false]);
  assert.equal(await next(), ["added", "c", true]);
  await watch.return();
});

test("a grant that is given and taken shows as devices that come and go", async () => {
  await using ground = await start();
  await using _a = await ground.device("a");
  const watch = (await ground.fleet("b:22")).watch();
  const next = () => nextOf(watch);
  const first = next();
  const author = { by: "local:test", at: Date.now() };
  const grant = { type: "grant", operator: "anna", scope: "a:22" } as const;
  const { id } = (await ground.store.apply(grant, author))[0]!;
  assert.equal(await first, ["added", "a", true]);
  await ground.store.apply({ type: "revoke-grant", id }, author);
  assert.equal(await next(), ["removed", "a", true]);
  await watch.return();
});

test("two watches of one fleet are told the same, and the second outlives the first", async () => {
  await using ground = await start();
  const fleet = await ground.fleet();
  const [one, other] = [fleet.watch(), fleet.watch()];
  const waiting = [nextOf(one), nextOf(other)];
  await using a = await ground.device("a");
  assert.equal(await Promise.all(waiting), [["added", "a", true], ["added", "a", true]]);
  await one.return();
  await a.close();
  assert.equal(await nextOf(other), ["offline", "a", false]);
  await other.return();
});

test("a watch ends by its signal", async () => {
  await using ground = await start();
  const leaving = new AbortController();
  const watch = (await ground.fleet()).watch(leaving.signal);
  const next = failureOf(watch.next());
  leaving.abort();
  assert.is((await bounded("the end", next)).code, "aborted");
});

test.run();

/** The next change but those of figures alone: their time is not this test's. */
async function nextOf(watch: AsyncGenerator<DeviceChange>): Promise<[string, string, boolean]> {
  for (;;) {
    const { value } = await bounded("a change", watch.next());
    const { type, device } = value!;
    if (type !== "changed") return [type, device.id, device.online];
  }
}

async function start() {
  const fleet = await startFleet({ watchInterval: 10 });
  const opened: AsyncDisposable[] = [];
  let gate = Promise.resolve();
  let open = () => {};
  /** A fleet's operator waits at the gate; a device may pass it. */
  const gated = {
    connector: {
      ...fleet.connector,
      connect: async (url: URL, signal?: AbortSignal) => {
        await gate;
        return await fleet.connector.connect(url, signal);
      },
    },
  };
  return {
    store: fleet.store,
    sessions: fleet.sessions,
    hold() {
      ({ promise: gate, resolve: open } = Promise.withResolvers<void>());
    },
    release: () => open(),
    async fleet(scope?: string) {
      const join = await invite(
        whereabouts(fleet),
        "operator",
        "anna",
        scope ? [scope] : undefined,
      );
      const made = await openFleet(runtimeOf(gated, echoTarget), { store: memoryStore(), join });
      opened.push(made);
      return made;
    },
    async device(id: string) {
      const join = await invite(whereabouts(fleet), "device", id);
      return await openDevice(runtimeOf(fleet, echoTarget), { id, store: memoryStore(), join });
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) await one[Symbol.asyncDispose]();
      await fleet[Symbol.asyncDispose]();
    },
  };
}
