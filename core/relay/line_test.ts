import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../errors.ts";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { Line } from "./line.ts";

const test = suite("the line of newcomers");
const HOUR = 3_600_000;
const { signal } = new AbortController();

test("so many are served at once, the others in the order in which they came", async () => {
  const line = new Line({ turns: 2, turn: HOUR });
  const served: number[] = [];
  const come = (number: number) =>
    line.enter(signal).then((leave) => {
      served.push(number);
      return leave;
    });
  const all = [1, 2, 3, 4, 5].map(come);
  const [first, second] = await bounded("two", Promise.all(all.slice(0, 2)));
  assert.equal(served, [1, 2]);
  assert.is(line.length, 3);
  second!();
  second!(); // It gave back one turn, and no more.
  const third = await bounded("the third", all[2]!);
  assert.equal(served, [1, 2, 3]);
  first!();
  const fourth = await bounded("the fourth", all[3]!);
  fourth();
  const fifth = await bounded("the fifth", all[4]!);
  assert.equal(served, [1, 2, 3, 4, 5]);
  for (const leave of [third, fifth]) leave();
  const later = await bounded("two more", Promise.all([line.enter(signal), line.enter(signal)]));
  for (const leave of later) leave();
});

test("a turn that takes too long goes to the next, and is not given back twice", async () => {
  const line = new Line({ turns: 1, turn: 1 });
  const slow = await line.enter(signal);
  await bounded("the next", line.enter(signal));
  slow();
  await bounded("another", line.enter(signal));
  assert.is(line.length, 0);
});

test("who gives up leaves the line to the others", async () => {
  const line = new Line({ turns: 1, turn: HOUR });
  const leave = await line.enter(signal);
  const gone = new AbortController();
  const impatient = failureOf(line.enter(gone.signal));
  const patient = line.enter(signal);
  assert.is(line.length, 2);
  gone.abort(new TunnelError("timeout", { action: "wait", state: "no answer" }));
  assert.is((await bounded("the end", impatient)).code, "timeout");
  leave();
  (await bounded("the other", patient))();
});

test.run();
