import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { Table } from "./table.ts";

const test = suite("Table");

test("an entry is the same for as long as it is used, and a while after", () => {
  const { table, clock } = made({ most: 10, keep: 100 });
  const first = table.hold("a");
  clock.at += 1_000;
  const second = table.hold("a");
  assert.is(second.value, first.value);
  first.release();
  second.release();
  clock.at += 100;
  const third = table.hold("a");
  assert.is(third.value, first.value);
  third.release();
  clock.at += 101;
  table.hold("b").release();
  assert.is(table.size, 1);
  assert.is.not(table.hold("a").value, first.value);
});

test("of those that nobody uses the longest unused goes, and never one in use", () => {
  const { table } = made({ most: 2, keep: 1e9 });
  const used = table.hold("used");
  const [a, b] = ["a", "b"].map((key) => {
    const held = table.hold(key);
    held.release();
    return held.value;
  });
  const again = table.hold("a");
  again.release();
  table.hold("c").release();
  assert.is(table.hold("a").value, a);
  assert.is(table.hold("used").value, used.value);
  assert.is.not(table.hold("b").value, b);
});

test("200,000 keys leave a bounded table, whoever holds what", () => {
  const random = new Random(newSeed());
  const { table, clock } = made({ most: 100, keep: 10_000 });
  const held: { release(): void }[] = [];
  for (let i = 0; i < 200_000; i++) {
    clock.at += random.below(3);
    const entry = table.hold(`k${random.below(1e9)}`);
    if (held.length < 50 && random.below(10) === 0) held.push(entry);
    else entry.release();
    if (held.length > 0 && random.below(10) === 0) {
      held.splice(random.below(held.length), 1)[0]!.release();
    }
    assert.ok(table.size <= 100 + 50 + 2, `${table.size} entries`);
  }
});

test.run();

function made({ most, keep }: { most: number; keep: number }) {
  const clock = { at: 0 };
  return { clock, table: new Table({ make: () => ({}), most, keep, now: () => clock.at }) };
}
