import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openDisplay } from "./progress.ts";

const test = suite("bench progress");

test("without a terminal each text is a plain line: where it is, since when, what is left", () => {
  const { display, written, at } = fake({ isTerminal: false });
  display.begin("latency");
  display.progress("case: direct", { done: 0, of: 8 });
  at(65_000);
  display.progress("case: ssh", { done: 2, of: 8 });
  display.progress("ssh failed", { done: 2, of: 8, keep: true });
  display[Symbol.dispose]();
  assert.equal(written(), [
    "[0:00] latency (1 of 2) 0 of 8: case: direct\n",
    "[1:05] latency (1 of 2) 2 of 8, about 3:15 left of it: case: ssh\n",
    "[1:05] latency (1 of 2) 2 of 8, about 3:15 left of it: ssh failed\n",
  ]);
});

test("on a terminal one line is written over, cut to fit, and cleared at the end", () => {
  const { display, written } = fake({ isTerminal: true });
  display.progress("x".repeat(100));
  display.progress("two\nlines");
  display[Symbol.dispose]();
  const [first, second, last] = written();
  assert.is(first, `\r\x1b[K[0:00] ${"x".repeat(32)}`);
  assert.is(second, "\r\x1b[K[0:00] two");
  assert.is(last, "\r\x1b[K");
});

test("on a terminal what is kept gets a line of its own, whole", () => {
  const { display, written } = fake({ isTerminal: true });
  const why = `it failed: ${"x".repeat(100)}`;
  display.progress(why, { keep: true });
  assert.equal(written(), [`\r\x1b[K[0:00] ${why}\n`]);
});

test("what is left counts from the start of the suite; hours are hours", () => {
  const { display, written, at } = fake({ isTerminal: false }, 1);
  at(3_600_000);
  display.begin("throughput");
  at(3_610_000);
  display.progress("on", { done: 1, of: 1_001 });
  assert.equal(written(), ["[1:00:10] throughput 1 of 1001, about 2:46:40 left of it: on\n"]);
});

test.run();

function fake({ isTerminal }: { isTerminal: boolean }, suites = 2) {
  const lines: string[] = [];
  let now = 0;
  const screen = { isTerminal, columns: () => 40, write: (text: string) => void lines.push(text) };
  const display = openDisplay(screen, suites, () => now);
  return { display, written: () => lines, at: (ms: number) => now = ms };
}
