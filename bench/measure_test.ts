import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { withDeadline } from "../core/deadline.ts";
import type { Contender, Field } from "./contenders.ts";
import { measure, stepsOf } from "./measure.ts";
import type { Note } from "./progress.ts";
import { type Case, onField } from "./suites/suite.ts";

const test = suite("bench measure");

test("contenders run in turn, by round, each warmed up first", async () => {
  const order: string[] = [];
  const work = caseOf({
    warmUp: ({ name }) => void order.push(`warm ${name}`),
    run: ({ name }) => (order.push(name), [1]),
  });
  await measure(work, optionsOf(["a", "b"], 2));
  assert.equal(order, ["warm a", "warm b", "a", "b", "a", "b"]);
});

test("the median, the spread, and the ratios of the same rounds", async () => {
  const figures: Record<string, number[]> = {
    "direct": [100, 1_000, 10],
    "bare quic": [50, 100, 10],
    "tunnel quic": [25, 50, 20],
    "openssh": [10, 10, 10],
  };
  const work = caseOf({ run: ({ name }) => [figures[name]!.shift()!] });
  const rows = await measure(work, optionsOf(Object.keys(figures), 3));
  const [direct, bare, tunnel, ssh] = rows;
  assert.equal([tunnel!.median, tunnel!.spread, tunnel!.rounds], [25, 1.2, [25, 50, 20]]);
  assert.equal(tunnel!.ratios, { "bare quic": 0.5, "direct": 0.25 });
  assert.equal(bare!.ratios, { direct: 0.5 });
  assert.equal(ssh!.ratios, { direct: 0.1 });
  assert.equal(direct!.ratios, {});
  assert.equal(
    rows.map(({ contender, case: name, unit }) => [contender, name, unit]),
    Object.keys(figures).map((name) => [name, "work", "1/s"]),
  );
});

test("one that fails is reported with the reason, and the others go on", async () => {
  const said: [string, Note?][] = [];
  let runs = 0;
  const work = caseOf({
    run({ name }) {
      if (name === "b") throw new Error(`no answer ${++runs}`);
      return [7];
    },
  });
  const options = optionsOf(["a", "b"], 3, { failures: new Map([["c", "it did not start"]]) });
  const rows = await measure(work, { ...options, progress: (...all) => said.push(all) });
  assert.is(runs, 1, "it is out of the case");
  assert.equal(rows.map(({ contender, failed }) => [contender, failed]), [
    ["a", undefined],
    ["b", "no answer 1"],
    ["c", "it did not start"],
  ]);
  assert.is(rows[1]!.median, undefined);
  const [kept] = said.filter(([, note]) => note?.keep);
  assert.is(kept![0], "work: b failed: no answer 1");
});

test("one that is slow is given up by its own deadline, and the others go on", async () => {
  const work = caseOf({
    run: ({ name }) =>
      name === "slow"
        ? withDeadline({ action: "move bytes", timeout: 20 }, () => new Promise<number[]>(() => {}))
        : [7],
  });
  const rows = await bounded("the case", measure(work, optionsOf(["slow", "a"], 2)));
  assert.equal(rows.map(({ contender, failed }) => [contender, failed]), [
    ["slow", "move bytes: no answer within 20 ms"],
    ["a", undefined],
  ]);
});

test("a metric that some round cannot tell has no row", async () => {
  let round = 0;
  const work = caseOf({
    metrics: ["p50", "p99.9"].map((name) => ({ name, unit: "µs", better: "less" })),
    run: () => [5, ++round === 2 ? undefined : 9],
  });
  const rows = await measure(work, optionsOf(["a"], 3));
  assert.equal(rows.map(({ metric }) => metric), ["p50"]);
});

test("a case that is not for all is asked of those that it is for", async () => {
  const work = caseOf({ applies: ({ cold }) => cold !== undefined });
  const options = optionsOf(["a", "b"], 1, { failures: new Map([["c", "it did not start"]]) });
  const contenders = options.field.contenders.map((one) =>
    one.name === "b" ? { ...one, cold: { command: ["true"] } } : one
  );
  const field = { ...options.field, contenders };
  assert.is(stepsOf(work, { ...options, field }), 2);
  const rows = await measure(work, { ...options, field });
  assert.equal(rows.map(({ contender }) => contender), ["b"]);
});

test("what is moved is counted against the CPU time of each role, and its memory", async () => {
  const inRole = (role: string) => ({ role, pid: Deno.pid });
  const options = optionsOf(["direct", "tunnel quic"], 1);
  const contenders = options.field.contenders.map((one) => ({
    ...one,
    processes: one.name === "direct" ? [] : [inRole("relay"), inRole("service")],
  }));
  const work = caseOf({
    moves: 1e9,
    run() {
      // So much that the system's clock of CPU time, in steps of 10 ms, sees it.
      const before = process.cpuUsage();
      while (process.cpuUsage(before).user < 50_000);
      return [1];
    },
  });
  const rows = await measure(work, { ...options, field: { ...options.field, contenders } });
  if (Deno.build.os !== "linux") return assert.is(rows.length, 2);
  const used = rows.filter(({ metric }) => metric === "CPU" || metric === "memory");
  assert.equal(used.map(({ contender, metric, role, unit }) => [contender, metric, role, unit]), [
    ["tunnel quic", "CPU", undefined, "s/GB"],
    ["tunnel quic", "CPU", "service", "s/GB"],
    ["tunnel quic", "CPU", "relay", "s/GB"],
    ["tunnel quic", "memory", "service", "MiB"],
    ["tunnel quic", "memory", "relay", "MiB"],
  ]);
  const [total, service, relay, memory] = used.map(({ median }) => median!);
  assert.is(total, service! + relay!);
  assert.ok(relay! > 0, `${relay} s/GB`);
  assert.ok(memory! > 10 && memory! < 10_000, `${memory} MiB`);
});

test("progress counts the steps of all cases of a suite", async () => {
  const notes: (Note | undefined)[] = [];
  const cases = () => [
    caseOf({}),
    caseOf({ applies: ({ name }) => name === "b" }),
  ];
  const { field, rounds } = optionsOf(["a", "b"], 1);
  await onField(cases)({
    suite: "fake",
    quick: true,
    rounds,
    names: ["a", "b"],
    progress: (_, note) => notes.push(note),
    skip: (why) => assert.unreachable(why),
    field: () => Promise.resolve(field),
  });
  assert.equal(notes, [0, 1, 2, 3, 4, 5].map((done) => ({ done, of: 6 })));
});

test.run();

type Fake =
  & Partial<Omit<Case, "run" | "warmUp">>
  & {
    warmUp?: (contender: Contender) => void;
    run?: (
      contender: Contender,
    ) => (number | undefined)[] | Promise<number[]>;
  };

function caseOf({ warmUp = () => {}, run = () => [1], ...rest }: Fake): Case {
  return {
    name: "work",
    metrics: [{ name: "", unit: "1/s", better: "more" }],
    ...rest,
    // deno-lint-ignore require-await -- what it throws is to be a rejection
    warmUp: async (contender) => warmUp(contender),
    run: async (contender) => await run(contender),
  };
}

function optionsOf(names: string[], rounds: number, more: Partial<Field> = {}) {
  const field: Field = {
    contenders: names.map((name) => ({ name, port: 1, processes: [] })),
    failures: new Map(),
    absent: new Map(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...more,
  };
  return { suite: "fake", field, rounds, progress: () => {} };
}
