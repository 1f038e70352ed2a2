import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failure } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { TunnelError } from "../errors.ts";
import { BENCH } from "../names.ts";
import { measurePath } from "./path.ts";
import { BenchTarget, withBench } from "./target.ts";

const test = suite("bench path");

const nowhere = withBench(() => Promise.reject(new Error("there is no other target")));

test("a path through a relay has every figure, and no connection is left", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { allow: [BENCH], connect: nowhere });
  const dialer = await fleet.dialer(await fleet.operator());
  const said: string[] = [];
  const figures = await bounded(
    "the figures",
    measurePath({
      open: (signal) => dialer.dial("x", BENCH, { signal }),
      duration: 50,
      progress: (text) => said.push(text),
    }),
  );
  for (const name of ["open", "roundTrip", "roundTripDown", "roundTripUp"] as const) {
    const { p50, p99, samples } = figures[name];
    assert.ok(samples >= 1 && p50 > 0 && p99 >= p50, `${name}: ${p50}, ${p99} of ${samples}`);
  }
  assert.ok(figures.down > 0 && figures.up > 0);
  assert.is(said.length, 6);
  await dialer.close();
  assert.is(dialer.size, 0);
  assert.is(fleet.devices.at(-1)!.size, 0);
});

test("a device that does not offer it refuses it and says how it would", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { allow: [{ port: 22 }], connect: nowhere });
  const dialer = await fleet.dialer(await fleet.operator());
  const open = (signal: AbortSignal) => dialer.dial("x", BENCH, { signal });
  const error = await failure(() => measurePath({ open, duration: 50 }));
  assert.is(error.code, "target");
  assert.match(error.message, "dial x:bench: the device does not allow bench");
  assert.match(error.message, "--allow bench");
  await dialer.close();
});

test("a grant names it like any target", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { allow: [BENCH], connect: nowhere });
  const anna = await fleet.operator("anna", { grants: [{ scope: "x:bench" }] });
  const channel = await fleet.dial(anna, "x", BENCH);
  channel.reset(new TunnelError("closed", { action: "test", state: "done" }));
  const ben = await fleet.operator("ben", { grants: [{ scope: "x:22" }] });
  const error = await failure(() => fleet.dial(ben, "x", BENCH));
  assert.is(error.code, "refused");
  assert.match(error.message, "tunnel grant ben 'x:bench'");
});

test("a target that ends early is reported, and its connection reset", async () => {
  const resets: string[] = [];
  class Short extends BenchTarget {
    override write() {
      return Promise.resolve();
    }
    override read() {
      return Promise.resolve(null);
    }
    override reset(error: TunnelError) {
      resets.push(error.code);
    }
  }
  const error = await failure(() =>
    measurePath({ open: () => Promise.resolve(new Short()), duration: 50 })
  );
  assert.is(error.code, "protocol");
  assert.match(error.message, "ended 1 of 1 bytes early");
  assert.equal(resets, ["protocol"]);
});

test("a cancelled measurement ends with the connection that it waits for", async () => {
  const stop = new AbortController();
  const silent = new BenchTarget();
  silent.write = () => (stop.abort(), Promise.resolve());
  const error = await failure(() =>
    bounded(
      "the end",
      measurePath({ open: () => Promise.resolve(silent), duration: 50, signal: stop.signal }),
    )
  );
  assert.is(error.code, "aborted");
  assert.is((await failure(() => silent.read())).code, "aborted");
});

test.run();
