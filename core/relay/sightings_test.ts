import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../errors.ts";
import { SILENT } from "../log.ts";
import type { Sighting } from "../store.ts";
import { bounded } from "../../tests/bounded.ts";
import { Sightings } from "./sightings.ts";

const test = suite("sightings");
const HOUR = 3_600_000;
/** One that stands still. */
const clock = () => 0;
const SIGHTING: Sighting = { at: 1, transport: "memory", remote: { hostname: "h", port: 1 } };

/** A store that keeps the names of each write, and tells of it. */
function newStore() {
  const writes: string[][] = [];
  let wrote = Promise.withResolvers<void>();
  return {
    writes,
    devicesSeen(sightings: readonly (readonly [name: string, Sighting])[]): Promise<void> {
      writes.push(sightings.map(([name]) => name));
      wrote.resolve();
      wrote = Promise.withResolvers();
      return Promise.resolve();
    },
    next: () => bounded("a write", wrote.promise),
  };
}

function namesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `d-${index}`);
}

test("a few devices are recorded at once, more than that together", async () => {
  const store = newStore();
  const sightings = new Sightings({ store, log: SILENT, gather: 1, clock });
  const names = namesOf(400);
  for (const name of names) sightings.record(name, SIGHTING);
  const alone = names.slice(0, 20).map((name) => [name]);
  assert.equal(store.writes, alone);
  await store.next();
  assert.equal(store.writes, [...alone, names.slice(20)]);
  await sightings.close();
});

test("a group that is full waits for no others", async () => {
  const store = newStore();
  const sightings = new Sightings({ store, log: SILENT, gather: HOUR, clock });
  for (const name of namesOf(520)) sightings.record(name, SIGHTING);
  assert.equal(store.writes.slice(20).map(({ length }) => length), [500]);
  await sightings.close();
});

test("closing writes what waits, and what comes later at once", async () => {
  const store = newStore();
  const sightings = new Sightings({ store, log: SILENT, gather: HOUR, clock });
  const names = namesOf(25);
  for (const name of names) sightings.record(name, SIGHTING);
  await sightings.close();
  for (const name of ["y", "z"]) sightings.record(name, SIGHTING);
  assert.equal(store.writes.slice(20), [names.slice(20), ["y"], ["z"]]);
});

test("what cannot be recorded is reported, and the next is tried", async () => {
  const errors: unknown[] = [];
  const log = { ...SILENT, error: (_: string, fields?: object) => void errors.push(fields) };
  let isFull = true;
  const devicesSeen = () => {
    const error = { action: "record devices", state: "the disk is full" };
    return isFull ? Promise.reject(new TunnelError("unavailable", error)) : Promise.resolve();
  };
  const sightings = new Sightings({ store: { devicesSeen }, log, gather: HOUR, clock });
  sightings.record("a", SIGHTING);
  sightings.record("b", SIGHTING);
  await sightings.close();
  isFull = false;
  sightings.record("c", SIGHTING);
  await sightings.close();
  const why = "record devices: the disk is full";
  assert.equal(errors, [{ devices: 1, why }, { devices: 1, why }]);
});

test.run();
