/** Runs targets: input after input from a seed, and what a failure needs to be seen again. */

import { withDeadline } from "../../core/deadline.ts";
import { Random } from "../random.ts";
import { shrink } from "./shrink.ts";
import type { Target } from "./target.ts";

/**
 * Milliseconds for one input, of which none takes a hundredth: more is a hang, or work out of all
 * proportion to the input.
 */
const TIMEOUT = 20_000;

/** Milliseconds that a failure may take for its input to be made smaller, which takes many. */
const PATIENCE = 5_000;

/** An input that shows a defect. */
export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly iteration: number;
  /** As small as it could be made in time. */
  readonly input: Uint8Array;
  readonly error: unknown;
}

/** Tries the inputs of these iterations, in order, until one shows a defect. */
export async function run(
  target: Target,
  seed: number,
  iterations: { from: number; to: number },
): Promise<Finding | undefined> {
  for (let iteration = iterations.from; iteration < iterations.to; iteration++) {
    const input = inputOf(target, seed, iteration);
    const began = performance.now();
    const first = await failureOn(target, input);
    if (first === undefined) continue;
    const found = { target: target.name, seed, iteration };
    if (performance.now() - began > PATIENCE) return { ...found, input, error: first };
    const smallest = await shrink(
      input,
      async (part) => await failureOn(target, part) !== undefined,
    );
    const error = await failureOn(target, smallest);
    // One that does not fail each time is shown as it was found.
    return error === undefined
      ? { ...found, input, error: first }
      : { ...found, input: smallest, error };
  }
  return undefined;
}

/** The input of an iteration; those before it need not be made. */
export function inputOf(target: Target, seed: number, iteration: number): Uint8Array {
  return target.make(new Random(seed ^ hash(`${target.name} ${iteration}`)));
}

/** What the input makes fail; undefined when all is well. */
export async function failureOn(target: Target, input: Uint8Array): Promise<unknown> {
  using stray = new StrayRejections();
  const began = performance.now();
  try {
    const bound = { action: "handle one input", timeout: TIMEOUT };
    // A copy: what is under test may write to what it was given.
    await withDeadline(bound, async () => await target.check(input.slice()));
  } catch (error) {
    return error ?? new Error("it failed with nothing");
  }
  const took = performance.now() - began;
  if (took > TIMEOUT) return new Error(`it took ${Math.round(took)} ms`);
  return stray.first;
}

/** A finding as it is printed. */
export function report({ target, seed, iteration, input, error }: Finding): string {
  return [
    `${target} fails: seed ${seed}, iteration ${iteration}`,
    `input, ${input.length} bytes: ${input.toHex()}`,
    Deno.inspect(error, { depth: 6 }),
    `again:  deno task fuzz ${target} --seed ${seed} --at ${iteration}`,
    ...(input.length > 2_000 ? [] : [`or:     deno task fuzz ${target} --input ${input.toHex()}`]),
  ].join("\n");
}

/** Rejections that nobody handles, which would end a program. */
class StrayRejections implements Disposable {
  first: unknown;
  readonly #listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    this.first ??= new Error("a rejection that nobody handles", { cause: event.reason });
  };

  constructor() {
    globalThis.addEventListener("unhandledrejection", this.#listener);
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unhandledrejection", this.#listener);
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  return value >>> 0;
}
