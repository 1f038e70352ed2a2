/** What commands print when a peer's words are in it. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import { toJson } from "./json.ts";
import { format } from "./log.ts";
import { table } from "./table.ts";

const test = suite("output");

/** Each steers a terminal, or has it show other words in another order. */
const steering = [
  "\u001b[31m",
  "\u009b31m",
  "\u0007",
  "\u007f",
  "\r",
  "\u202e",
  "\u2066",
  "\ufeff",
];

for (const piece of steering) {
  test(`${toJson(piece)} of a peer reaches no terminal`, () => {
    const word = `a${piece}b`;
    const printed = [
      format({ why: word, device: "x" }),
      table([["DEVICE", "FROM"], ["x", word]]),
      toJson([{ remote: word }], 2),
      new TunnelError("refused", { action: "dial", state: word }).message,
    ];
    for (const text of printed) assert.not.match(text, /[^\n\P{Cc}]|\p{Cf}/u);
  });
}

test("JSON stays what it was, spaced as it was asked for", () => {
  const value = [{ id: "x", text: `a"b\\ü😀\n${steering.join("")}`, since: null }];
  assert.equal(JSON.parse(toJson(value)), value);
  assert.is(toJson([{ id: "x" }], 2), JSON.stringify([{ id: "x" }], null, 2));
});

test("words that need no quotes have none, and columns line up", () => {
  assert.is(
    format({ device: "pi-7", why: "it is away", at: undefined }),
    ' device=pi-7 why="it is away"',
  );
  assert.is(table([["DEVICE", "FROM"], ["pi-7", "10.0.0.1"]]), "DEVICE  FROM\npi-7    10.0.0.1");
});

test.run();
