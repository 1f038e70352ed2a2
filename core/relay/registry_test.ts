import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { memoryPair } from "../../transports/memory.ts";
import { CloseCode, type CloseInfo, type Session } from "../transport.ts";
import { type DeviceSession, Registry } from "./registry.ts";

const test = suite("Registry");

test("another process's session replaces all that the device has, and they are told", async () => {
  const registry = new Registry();
  const old = [entryOf("x", "process-1"), entryOf("x", "process-1")];
  const ends = old.map(({ session }) => endOf(session));
  for (const entry of old) registry.add(entry);
  const entry = entryOf("x", "process-2", "192.0.2.2");
  assert.ok(same(registry.add(entry), old));
  const reason = "another session of device x, from 192.0.2.2, took its place";
  for (const end of ends) {
    assert.equal(await bounded("the end", end.promise), { code: CloseCode.replaced, reason });
  }
  assert.is(registry.find("x"), entry);
  assert.is(registry.size, 1);
});

test("a session of the same process takes new dials and leaves the one before", async () => {
  const registry = new Registry();
  const first = entryOf("x", "process-1");
  const end = endOf(first.session);
  registry.add(first);
  const second = entryOf("x", "process-1");
  assert.equal(registry.add(second), []);
  assert.is(registry.find("x"), second);
  assert.is(registry.size, 1);
  await Promise.resolve(); // A close would have been seen by now.
  assert.is(end.over, false);
});

test("a session of another device is nobody's rival", async () => {
  const registry = new Registry();
  const [x, y] = [entryOf("x", "process-1"), entryOf("y", "process-2")];
  const end = endOf(x.session);
  registry.add(x);
  assert.equal(registry.add(y), []);
  assert.is(registry.find("x"), x);
  assert.is(registry.find("y"), y);
  assert.is(registry.size, 2);
  await Promise.resolve(); // A close would have been seen by now.
  assert.is(end.over, false);
});

test("the newest session that is left takes the dials, whatever the order of removal", () => {
  const registry = new Registry();
  const [oldest, middle, newest] = [1, 2, 3].map(() => entryOf("x", "process-1"));
  for (const entry of [oldest!, middle!, newest!]) registry.add(entry);
  assert.is(registry.remove(middle!), false);
  assert.is(registry.find("x"), newest);
  assert.is(registry.remove(newest!), false);
  assert.is(registry.find("x"), oldest);
  assert.is(registry.remove(oldest!), true);
  assert.is(registry.find("x"), undefined);
  assert.is(registry.size, 0);
});

test("the end of a replaced session takes nothing from the one in its place", () => {
  const registry = new Registry();
  const [old, entry] = [entryOf("x", "process-1"), entryOf("x", "process-2")];
  registry.add(old);
  registry.add(entry);
  assert.is(registry.remove(old), false);
  assert.is(registry.find("x"), entry);
  assert.is(registry.remove(entry), true);
});

test("who waits for a device that is online has it at once", async () => {
  const registry = new Registry();
  const entry = entryOf("x", "process-1");
  registry.add(entry);
  assert.is(await bounded("x", registry.whenOnline("x", new AbortController().signal)), entry);
});

test("all who wait for a device have it when it comes, and no other", async () => {
  using left = new Leftovers();
  const registry = new Registry();
  const { signal } = new AbortController();
  const waiting = [registry.whenOnline("x", signal), registry.whenOnline("x", signal)];
  registry.add(entryOf("y", "process-2"));
  const entry = entryOf("x", "process-1");
  registry.add(entry);
  for (const each of waiting) assert.is(await bounded("x", each), entry);
  assert.is(left.listeners, 0);
});

test("one who gives up waiting leaves the others waiting", async () => {
  const registry = new Registry();
  const [patient, gone] = [new AbortController(), new AbortController()];
  const waiting = registry.whenOnline("x", patient.signal);
  const givenUp = failureOf(registry.whenOnline("x", gone.signal));
  gone.abort();
  const error = await bounded("the error", givenUp);
  assert.is(error.code, "aborted");
  assert.is(error.parts.action, "wait for x");
  const entry = entryOf("x", "process-1");
  registry.add(entry);
  assert.is(await bounded("x", waiting), entry);
});

test.run();

function entryOf(id: string, instance: string, host?: string): DeviceSession {
  const [session] = memoryPair({ host });
  return { id, instance, session, since: 0, peer: undefined };
}

/** What a session's ends are told when it is closed. */
function endOf({ closed }: Session): { promise: Promise<CloseInfo>; over: boolean } {
  const end = { promise: closed, over: false };
  closed.then(() => end.over = true);
  return end;
}

/** Whether both lists hold the same objects in the same order. */
function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
