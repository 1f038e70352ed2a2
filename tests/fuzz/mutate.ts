/** Alterations of bytes: what line noise, other versions and attackers make of a valid encoding. */

import { concat } from "../../core/bytes.ts";
import type { Random } from "../random.ts";

/** Numbers at which formats change their minds. */
export const BOUNDARIES: readonly number[] = [
  0,
  1,
  2,
  16,
  17,
  125,
  126,
  127,
  128,
  255,
  256,
  4_096,
  8_192,
  32_767,
  32_768,
  130_944,
  65_409,
  65_433,
  65_520,
  65_535,
  65_536,
  262_144,
  2 ** 24 - 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
];

/** Bytes that are no UTF-8, or only just: overlong, cut off, surrogates, beyond Unicode. */
const BAD_TEXT: readonly (readonly number[])[] = [
  [0x80],
  [0xff],
  [0xc0, 0xaf],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xef, 0xbb, 0xbf],
  [0x00],
  [0x0d, 0x0a],
];

/** The longest run that {@linkcode mutate} inserts. */
const LONGEST = 70_000;

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/**
 * The bytes with one to four alterations; one in sixteen comes back as it was.
 *
 * @param others valid encodings to take parts of
 */
export function mutate(
  bytes: Uint8Array,
  random: Random,
  others: readonly Uint8Array[] = [bytes],
): Uint8Array {
  if (random.below(16) === 0) return bytes;
  for (let times = 1 + random.below(4); times > 0; times--) {
    bytes = random.pick(MUTATIONS)(bytes, random, random.pick(others));
  }
  return bytes;
}

const flip: Mutation = (bytes, random) =>
  edited(bytes, random, (copy, at) => copy[at]! ^= 1 << random.below(8));

const put: Mutation = (bytes, random) =>
  edited(bytes, random, (copy, at) => copy[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]));

/** A boundary in place of what may be a length, a count or a code. */
const number: Mutation = (bytes, random) =>
  edited(bytes, random, (copy, at) => {
    const size = random.pick([1, 2, 3, 4, 8]);
    let value = BigInt(random.pick(BOUNDARIES));
    for (let i = Math.min(copy.length, at + size) - 1; i >= at; i--) {
      copy[i] = Number(value & 0xffn);
      value >>= 8n;
    }
  });

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1));

const extend: Mutation = (bytes, random) => concat([bytes, random.bytes(1 + random.below(40))]);

const repeat: Mutation = (bytes, random) => {
  const [from, to] = range(bytes, random);
  return insert(bytes, to, bytes.subarray(from, to));
};

const remove: Mutation = (bytes, random) => {
  const [from, to] = range(bytes, random);
  return concat([bytes.subarray(0, from), bytes.subarray(to)]);
};

const swap: Mutation = (bytes, random) => {
  const cuts = [...range(bytes, random), ...range(bytes, random)].sort((a, b) => a - b);
  const [a, b, c, d] = cuts as [number, number, number, number];
  const parts = [[0, a], [c, d], [b, c], [a, b], [d, bytes.length]] as const;
  return concat(parts.map(([from, to]) => bytes.subarray(from, to)));
};

const splice: Mutation = (bytes, random, other) => {
  const [from, to] = range(other, random);
  return insert(bytes, random.below(bytes.length + 1), other.subarray(from, to));
};

const badText: Mutation = (bytes, random) =>
  insert(bytes, random.below(bytes.length + 1), Uint8Array.from(random.pick(BAD_TEXT)));

const long: Mutation = (bytes, random) => {
  // A long run costs time, so most are not.
  const length = random.below(16) === 0 ? random.below(LONGEST) : random.below(300);
  const run = new Uint8Array(length).fill(random.pick([0, 0x20, 0x41, 0x5b, 0x80, 0xff]));
  return insert(bytes, random.below(bytes.length + 1), run);
};

const MUTATIONS: readonly Mutation[] = [
  flip,
  flip,
  put,
  number,
  number,
  truncate,
  extend,
  repeat,
  remove,
  swap,
  splice,
  badText,
  long,
];

function edited(
  bytes: Uint8Array,
  random: Random,
  edit: (copy: Uint8Array, at: number) => void,
): Uint8Array {
  if (bytes.length === 0) return bytes;
  const copy = bytes.slice();
  edit(copy, random.below(copy.length));
  return copy;
}

function insert(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  return concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

function range(bytes: Uint8Array, random: Random): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  return [from, from + random.below(bytes.length - from + 1)];
}
