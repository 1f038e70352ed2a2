import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { type Metric, Metrics } from "./metrics.ts";

const test = suite("Metrics");

test("counts are kept by labels, in the order of their definition", () => {
  const metrics = new Metrics();
  const dials = metrics.counters("dials_total", "Dials.", "outcome");
  const open = metrics.gauge("open", "Open ones.");
  dials.of("accepted").add();
  dials.of("refused");
  dials.of("accepted").add(2);
  open.add(3);
  open.add(-1);
  metrics.observe("asked", "Read when shown.", "gauge", () => 7);
  assert.equal([...metrics].map(shown), [
    ["dials_total", "counter", [[{ outcome: "accepted" }, 3], [{ outcome: "refused" }, 0]]],
    ["open", "gauge", [[{}, 2]]],
    ["asked", "gauge", [[{}, 7]]],
  ]);
});

test("values without end do not make series without end", () => {
  const metrics = new Metrics();
  const family = metrics.counters("sessions_total", "Sessions.", "transport", "role");
  for (let i = 0; i < 1_000; i++) family.of(`t${i}`, "device").add();
  const samples = [...family.samples()];
  assert.is(samples.length, 65);
  assert.equal(samples.at(-1), { labels: { transport: "other", role: "other" }, value: 936 });
  assert.is(samples.reduce((sum, { value }) => sum + value, 0), 1_000);
});

for (const name of ["taken", "Capital", "with-dash", "1st", ""]) {
  test(`a metric cannot be named ${JSON.stringify(name)}`, async () => {
    const metrics = new Metrics();
    metrics.counter("taken", "The first.");
    assert.is((await failure(() => metrics.counter(name, "x"))).code, "internal");
  });
}

test.run();

function shown(metric: Metric) {
  const samples = [...metric.samples()].map(({ labels, value }) => [labels, value]);
  return [metric.name, metric.type, samples];
}
