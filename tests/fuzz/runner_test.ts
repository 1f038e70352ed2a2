/** The fuzzer itself: finds a planted defect, makes it small, and says how to see it again. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../random.ts";
import { Allocations } from "./allocations.ts";
import { checkError, checkSecrets } from "./expect.ts";
import { mutate } from "./mutate.ts";
import { mutateJson, mutateText } from "./mutate_text.ts";
import { failureOn, inputOf, report, run } from "./runner.ts";
import { fromText, type Target, toText } from "./target.ts";
import { allTargets } from "./targets.ts";
import { TunnelError } from "../../core/errors.ts";

const test = suite("fuzz runner");
const seed = newSeed();

/** Fails on every input that has an A and, anywhere behind it, a Z. */
const planted: Target = {
  name: "planted",
  iterations: 1_000,
  make: (random) => mutate(new TextEncoder().encode("some AND then Zeros"), random),
  check(input) {
    const text = new TextDecoder().decode(input);
    if (text.lastIndexOf("Z") > text.indexOf("A") && text.includes("A")) throw new Error("planted");
  },
};

test("a defect is found, made as small as it can be, and repeated by what the report says", async () => {
  const finding = (await run(planted, seed, { from: 0, to: 1_000 }))!;
  assert.equal([...finding.input], [0x41, 0x5a]);
  assert.equal(await run(planted, seed, { from: 0, to: 1_000 }), finding);
  const text = report(finding);
  assert.match(text, `deno task fuzz planted --seed ${seed} --at ${finding.iteration}`);
  assert.match(text, "deno task fuzz planted --input 415a");
  assert.match(
    String(await failureOn(planted, inputOf(planted, seed, finding.iteration))),
    "planted",
  );
  assert.is(await failureOn(planted, new TextEncoder().encode("ZA")), undefined);
});

test("a rejection that nobody handles is a finding", async () => {
  const target: Target = {
    ...planted,
    async check() {
      Promise.reject(new Error("stray"));
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
  assert.match(Deno.inspect(await failureOn(target, new Uint8Array(1))), /nobody handles[^]*stray/);
});

test("what is under test may write to its input: the next to see it gets it as it was", async () => {
  const target: Target = { ...planted, check: (input) => void input.fill(0) };
  const input = Uint8Array.of(1, 2, 3);
  await failureOn(target, input);
  assert.equal([...input], [1, 2, 3]);
});

test("every target makes the same input of the same seed, and another of another", () => {
  for (const target of allTargets) {
    const inputs = [1, 1, 2].map((seed) =>
      Array.from({ length: 20 }, (_, i) => inputOf(target, seed, i).toHex()).join()
    );
    assert.is(inputs[0], inputs[1], target.name);
    assert.is.not(inputs[0], inputs[2], target.name);
  }
});

test("alterations are many, and one in a few leaves what it was given", () => {
  const random = new Random(seed);
  const texts = Array.from({ length: 1_000 }, () => mutateText("10.0.0.5:80", random));
  const values = Array.from({ length: 1_000 }, () => mutateJson({ type: "ping", id: 1 }, random));
  for (
    const [all, original] of [[texts, "10.0.0.5:80"], [values, '{"type":"ping","id":1}']] as const
  ) {
    assert.ok(new Set(all).size > 500);
    assert.ok(all.includes(original));
  }
  assert.ok(texts.some((text) => !text.isWellFormed()));
  for (const text of texts) assert.is(toText(fromText(text)), text);
});

test("errors are held to their rules", () => {
  const error = (state: string, cause?: unknown) =>
    new TunnelError("refused", { action: "a", state, cause });
  checkError(error("fine"), ["refused"]);
  assert.throws(() => checkError(new RangeError("x"), ["refused"]), /foreign/);
  assert.throws(() => checkError(error("fine"), ["protocol"]), /the code is refused/);
  const hidden = error("fine", new Error("saw hunter2hunter3"));
  assert.throws(() => checkSecrets(hidden, ["hunter2hunter3"]), /shows/);
});

test("memory set aside for bytes is counted, and no longer than asked", () => {
  const made = () => [new Uint8Array(1_000), new ArrayBuffer(24), new Uint8Array([1, 2])];
  const counting = new Allocations();
  assert.ok(made()[0] instanceof Uint8Array);
  assert.is(counting.bytes, 1_024);
  counting[Symbol.dispose]();
  made();
  assert.is(counting.bytes, 1_024);
});

test.run();
