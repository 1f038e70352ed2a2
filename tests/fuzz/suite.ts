/** Targets as tests of the suite: a fixed number of inputs each, from a printed seed. */

import { suite } from "uvu";
import { newSeed } from "../random.ts";
import { report, run } from "./runner.ts";
import type { Target } from "./target.ts";

export function suiteOf(name: string, targets: readonly Target[]): void {
  const test = suite(name);
  const seed = newSeed();
  for (const target of targets) {
    test(`${target.name}: ${target.iterations} inputs`, async () => {
      const finding = await run(target, seed, { from: 0, to: target.iterations });
      if (finding) throw new Error(report(finding));
    });
  }
  test.run();
}
