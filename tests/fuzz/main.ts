/**
 * `deno task fuzz [TARGET...] [--seconds N] [--seed N]`: every target, or those whose name starts
 * with a word given, in rounds until the time is up. Exits 1 with the first finding.
 *
 * `--at ITERATION` repeats one input of a seed, `--input HEX` one input.
 */

import { parseArgs } from "node:util";
import { failureOn, inputOf, report, run } from "./runner.ts";
import type { Target } from "./target.ts";
import { allTargets } from "./targets.ts";

/** Seconds, unless told otherwise. */
const SECONDS = 60;
/** Milliseconds between two lines of progress. */
const PROGRESS = 10_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: String(SECONDS) },
      seed: { type: "string" },
      at: { type: "string" },
      input: { type: "string" },
    },
  });
  const targets = allTargets.filter(({ name }) =>
    positionals.length === 0 || positionals.some((word) => name.startsWith(word))
  );
  if (targets.length === 0) {
    console.error(`no target is called ${positionals.join(", ")}; there are:`);
    for (const { name } of allTargets) console.error(`  ${name}`);
    return 2;
  }
  const given = values.seed ?? Deno.env.get("TUNNEL_TEST_SEED");
  const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0]!;
  if (values.input !== undefined) {
    return await repeat(targets[0]!, () => Uint8Array.fromHex(values.input!));
  }
  if (values.at !== undefined) {
    return await repeat(targets[0]!, (target) => inputOf(target, seed, Number(values.at)));
  }
  console.log(`seed ${seed}`);
  return await rounds(targets, seed, Number(values.seconds) * 1_000);
}

/** A tenth of what the suite does of each target, again and again. */
async function rounds(targets: readonly Target[], seed: number, ms: number): Promise<number> {
  const done = new Map(targets.map(({ name }) => [name, 0]));
  const end = performance.now() + ms;
  let said = performance.now();
  for (let round = 1; performance.now() < end; round++) {
    for (const target of targets) {
      if (performance.now() >= end) break;
      const from = done.get(target.name)!;
      const to = from + Math.max(1, Math.floor(target.iterations / 10));
      const finding = await run(target, seed, { from, to });
      if (finding) {
        console.error(report(finding));
        return 1;
      }
      done.set(target.name, to);
    }
    if (performance.now() - said < PROGRESS) continue;
    said = performance.now();
    const left = Math.max(0, Math.round((end - said) / 1_000));
    console.log(`round ${round}: ${sum(done.values())} inputs, ${left} s left`);
  }
  for (const [name, inputs] of done) console.log(`${String(inputs).padStart(9)}  ${name}`);
  console.log(`${sum(done.values())} inputs, nothing found`);
  return 0;
}

async function repeat(target: Target, make: (target: Target) => Uint8Array): Promise<number> {
  const input = make(target);
  const error = await failureOn(target, input);
  console.log(`${target.name}, ${input.length} bytes: ${input.toHex()}`);
  console.log(error === undefined ? "it passes" : Deno.inspect(error, { depth: 6 }));
  return error === undefined ? 0 : 1;
}

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, number) => total + number, 0);
}

Deno.exit(await main());
