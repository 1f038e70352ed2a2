/** Makes an input that shows a defect as small as it can be, for whoever has to understand it. */

import { concat } from "../../core/bytes.ts";

/** Inputs that are tried at most; the smallest by then will do. */
const MAX_TRIES = 1_500;
/** Milliseconds after which no further one is tried: a script that hangs takes its time each time. */
const MAX_TIME = 60_000;

/** @param fails whether an input still shows a defect */
export async function shrink(
  input: Uint8Array,
  fails: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let tries = 0;
  const end = performance.now() + MAX_TIME;
  const accept = async (candidate: Uint8Array) => {
    if (tries++ >= MAX_TRIES || performance.now() > end || !await fails(candidate)) return false;
    input = candidate;
    return true;
  };
  for (let size = Math.ceil(input.length / 2); size > 0; size = size === 1 ? 0 : size >> 1) {
    for (let at = 0; at < input.length;) {
      const without = concat([input.subarray(0, at), input.subarray(at + size)]);
      if (!await accept(without)) at += size;
    }
  }
  for (let at = 0; at < input.length; at++) {
    for (const value of [0, input[at]! >> 1, input[at]! - 1]) {
      if (input[at]! > value && value >= 0 && await accept(input.with(at, value))) break;
    }
  }
  return input;
}
