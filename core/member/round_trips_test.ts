import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { reportRoundTrips } from "./round_trips.ts";

const test = suite("round trips");

test("the shortest of the last three is told, again and again, until the session ends", async () => {
  const took = [50, 40, 70, 60, 30, 80, 90, 95];
  const told: number[] = [];
  const enough = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<never>();
  const measured = () => Promise.resolve(took.shift() ?? 99);
  const report = (roundTrip: number) => {
    told.push(roundTrip);
    if (told.length === 7) enough.resolve();
    return measured();
  };
  const link = { closed: closed.promise, ping: measured, report, spread: 0 };
  const reporting = reportRoundTrips(link, { interval: 0 });
  await bounded("the reports", enough.promise);
  closed.reject(new Error("it is lost"));
  await bounded("the end", reporting);
  assert.equal(told.slice(0, 7), [50, 40, 40, 40, 30, 30, 30]);
});

test("a session that ends while its fleet comes back is not measured at all", async () => {
  const closed = Promise.withResolvers<never>();
  const never = () => failureOf(Promise.reject(new Error("it was asked"))).then(() => NaN);
  const link = { closed: closed.promise, ping: never, report: never, spread: 1_000_000 };
  const reporting = reportRoundTrips(link, { random: () => 0 });
  closed.reject(new Error("it is lost"));
  await bounded("the end", reporting);
});

test("the relay hears of it, and says by then over what time the fleet is to come back", async () => {
  await using fleet = await startFleet();
  const link = await fleet.device("x");
  const operator = await fleet.operator();
  assert.is(link.spread, 0);
  const sighting = { at: 1, transport: "memory", remote: { hostname: "h", port: 1 } };
  const names = Array.from({ length: 999 }, (_, number) => `d-${number}`);
  await fleet.store.devicesSeen(names.map((name) => [name, sighting]));
  await fleet.relay.access.refresh();
  const told = Promise.withResolvers<void>();
  const reporting = reportRoundTrips({
    ...{ closed: link.closed, spread: link.spread, ping: (signal) => link.ping(signal) },
    report: (roundTrip, signal) => link.report(roundTrip, signal).finally(told.resolve),
  });
  await bounded("the report", told.promise);
  assert.type((await operator.device("x")).roundTrip, "number");
  assert.is(link.spread, 2_500);
  assert.is(operator.spread, 0);
  link.session.close();
  await bounded("the end", reporting);
});

test.run();
