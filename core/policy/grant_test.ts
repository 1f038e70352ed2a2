import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import type { Target } from "../names.ts";
import { covers, EVERYTHING, formatScope, hasEnded, matches, parseScope } from "./grant.ts";

const test = suite("grants");

const canonical: [written: string, kept: string][] = [
  ["x:22", "x:22"],
  ["line3-*:22,443", "line3-*:22,443"],
  ["*:*", EVERYTHING],
  ["x:443,22", "x:443,22"],
  ["x:22,22,443,22", "x:22,443"],
  ["x:22,*", "x:*"],
  ["x:*,*", "x:*"],
  ["x:127.0.0.1:22", "x:22"],
  ["x:localhost:22,LOCALHOST:443", "x:22,443"],
  ["x:10.0.0.5:80", "x:10.0.0.5:80"],
  ["x:10.0.0.5:*", "x:10.0.0.5:*"],
  ["x:22,bench", "x:22,bench"],
  ["x:Printer.Local:9100,printer.local:9100", "x:printer.local:9100"],
  ["x:[::1]:22", "x:[::1]:22"],
  ["x:[0:0:0:0:0:0:0:1]:22,[::1]:22", "x:[::1]:22"],
  ["x:[FE80::1]:*", "x:[fe80::1]:*"],
  [`${"a".repeat(63)}:1`, `${"a".repeat(63)}:1`],
  [`x:${ports(32)}`, `x:${ports(32)}`],
];
for (const [written, kept] of canonical) {
  test(`${written.slice(0, 60)} is ${kept.slice(0, 60)}`, () => {
    assert.is(formatScope(parseScope(written)), kept);
    assert.is(formatScope(parseScope(kept)), kept, "its own canonical spelling");
  });
}

const wrong = [
  ...[
    "",
    ":",
    "x",
    "x:",
    ":22",
    "*",
    "22",
    "x;22",
    "x:22,",
    "x:,22",
    "x:22,,443",
    "x: 22",
    " x:22",
  ],
  ...["x:0", "x:65536", "x:022", "x:+22", "x:2 2", "x:22-25", "x:ssh", "x:22/tcp", "x:2*"],
  ...["X:22", "-x:22", ".x:22", "x/y:22", "a?:22", "[ab]:22", "x\n:22", `${"a".repeat(64)}:1`],
  ...["x:10.0.0:80", "x:10.0.0.256:80", "x:0x7f.1:80", "x:::1:22", "x:[::1]", "x:[::1:22"],
  ...["x:*:80", "x:*.local:80", "x:10.0.0.*:80", "x:a b:80", "x:[]:80", "x:-a:80"],
  // Every port of the device itself and of nothing else cannot be said.
  ...["x:localhost:*", "x:127.0.0.1:*", "x:*:*"],
  ...[`x:${ports(33)}`, `x:${"22,".repeat(10_000)}22`],
];
for (const text of wrong) {
  test(`${JSON.stringify(text.slice(0, 40))} is no grant`, async () => {
    const error = await failure(() => parseScope(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "it is DEVICES:TARGETS");
    assert.ok(error.message.length < 300);
  });
}

const coverage: [scope: string, device: string, target: Target, covered: boolean][] = [
  ["x:22", "x", { port: 22 }, true],
  ["x:22", "x", { port: 23 }, false],
  ["x:22", "y", { port: 22 }, false],
  ["x:22", "xx", { port: 22 }, false],
  ["x:22", "x", { host: "127.0.0.1", port: 22 }, true],
  ["x:22", "x", { host: "LocalHost.", port: 22 }, true],
  ["x:22", "x", { host: "::1", port: 22 }, false],
  ["x:22", "x", { host: "10.0.0.5", port: 22 }, false],
  ["x:22", "x", { host: "*", port: 22 }, false],
  ["x:2", "x", { port: 22 }, false],
  ["x:22,443", "x", { port: 443 }, true],
  ["x:22,443", "x", { host: "22,443", port: 443 }, false],
  ["line3-*:22", "line3-", { port: 22 }, true],
  ["line3-*:22", "line3-press", { port: 22 }, true],
  ["line3-*:22", "line30", { port: 22 }, false],
  ["x:10.0.0.5:80", "x", { host: "10.0.0.5", port: 80 }, true],
  ["x:10.0.0.5:80", "x", { host: "10.0.0.5.", port: 80 }, true],
  ["x:10.0.0.5:80", "x", { host: "10.0.0.50", port: 80 }, false],
  ["x:10.0.0.5:80", "x", { host: "10.0.0.5", port: 8 }, false],
  ["x:10.0.0.5:80", "x", { port: 80 }, false],
  ["x:10.0.0.5:*", "x", { host: "10.0.0.5", port: 1 }, true],
  ["x:10.0.0.5:*", "x", { host: "10.0.0.5", port: 65_535 }, true],
  ["x:10.0.0.5:*", "x", { host: "10.0.0.6", port: 80 }, false],
  ["x:10.0.0.5:*", "x", { port: 80 }, false],
  ["x:printer.local:9100", "x", { host: "PRINTER.local", port: 9100 }, true],
  ["x:[::1]:22", "x", { host: "::1", port: 22 }, true],
  ["x:[fe80::1]:*", "x", { host: "fe80::1", port: 443 }, true],
  ["x:[fe80::1]:*", "x", { host: "fe80::11", port: 443 }, false],
  ["x:*", "x", { host: "169.254.169.254", port: 80 }, true],
  ["x:*", "y", { port: 80 }, false],
  ["*:*", "anything", { host: "any", port: 1 }, true],
  ["*:22", "anything", { host: "any", port: 22 }, false],
];
for (const [scope, device, target, covered] of coverage) {
  test(`${scope} ${covered ? "covers" : "leaves out"} ${Deno.inspect(target)} of ${device}`, () => {
    assert.is(covers(parseScope(scope), device, target), covered);
  });
}

const patterns: [pattern: string, device: string, matched: boolean][] = [
  ["x", "x", true],
  ["x", "", false],
  ["*", "", true],
  ["**", "x", true],
  ["a*a", "a", false],
  ["a*a", "aa", true],
  ["ab*ba", "aba", false],
  ["ab*ba", "abba", true],
  ["*a*", "bab", true],
  ["*a*", "bbb", false],
  ["a*b*c", "abc", true],
  ["a*b*c", "acb", false],
  ["a*b*c", "abcbc", true],
  ["a*bc*bc", "abc", false],
  ["a*bc*bc", "abcbc", true],
  ["*aab", "aaab", true],
  ["*ab*ab", "abab", true],
  ["*ab*ab", "aab", false],
  ["a.c", "abc", false],
  ["a.*", "a.b", true],
];
for (const [pattern, device, matched] of patterns) {
  test(`${pattern} ${matched ? "matches" : "does not match"} ${device || "nothing"}`, () => {
    assert.is(matches(pattern, device), matched);
  });
}

test("patterns match as the definition of a star has it, whatever they are", () => {
  const random = new Random(newSeed());
  const text = (alphabet: string) =>
    Array.from({ length: random.below(9) }, () => random.pick([...alphabet])).join("");
  let matched = 0;
  for (let round = 0; round < 20_000; round++) {
    const [pattern, device] = [text("ab*"), text("ab")];
    const expected = byDefinition(pattern, device);
    if (expected) matched++;
    assert.is(matches(pattern, device), expected, `${pattern} on ${device}`);
  }
  assert.ok(matched > 1_000, "both answers were asked for");
});

test("no pattern takes long: as many stars as fit, on an ID that nearly matches", () => {
  const pattern = `${"*a".repeat(31)}b`;
  const device = "a".repeat(63);
  let steps = 0;
  // What a matcher with backtracking would do is beyond counting; each part is looked for once here.
  const counted = new Proxy(Object(device), {
    get(target, name) {
      if (name === "indexOf") steps++;
      const value = target[name];
      return typeof value === "function" ? value.bind(device) : value;
    },
  });
  assert.is(matches(pattern, counted), false);
  assert.ok(steps <= 63, `${steps} searches`);
});

test("a grant without an end does not end, another one at its end", () => {
  assert.is(hasEnded({}, Number.MAX_SAFE_INTEGER), false);
  assert.is(hasEnded({ until: 10 }, 9), false);
  assert.is(hasEnded({ until: 10 }, 10), true);
});

test.run();

function ports(count: number): string {
  return Array.from({ length: count }, (_, i) => i + 1).join(",");
}

/** A star stands for nothing, or for one character and a star. */
function byDefinition(pattern: string, device: string): boolean {
  if (pattern === "") return device === "";
  if (pattern[0] !== "*") {
    return pattern[0] === device[0] && byDefinition(pattern.slice(1), device.slice(1));
  }
  return byDefinition(pattern.slice(1), device) ||
    device !== "" && byDefinition(pattern, device.slice(1));
}
