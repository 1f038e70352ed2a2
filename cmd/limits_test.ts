import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { listLimits, parseLimits } from "./limits.ts";
import { DEFAULT_RELAY_LIMITS } from "../core/relay/limits.ts";
import { RELAY_LIMITS } from "../core/transport.ts";

const test = suite("--limit");

const values: [string[], Record<string, unknown>][] = [
  [[], {}],
  [["sessions=5"], { sessions: 5 }],
  [["sessions=5", "sessions=6", "pending=1"], { sessions: 6, pending: 1 }],
  [["dial-rate=10/s"], { dialRate: { perSecond: 10, burst: 20 } }],
  [["dial-rate=10/s:500"], { dialRate: { perSecond: 10, burst: 500 } }],
  [["join-failures=6/m"], { joinFailures: { perSecond: 0.1, burst: 1 } }],
  [["requests=1/h:3"], { requests: { perSecond: 1 / 3_600, burst: 3 } }],
  [["sign-in-time=3s", "join-pause=2m"], { signInTimeout: 3_000, joinPause: 120_000 }],
  [["bandwidth=50M"], { bandwidth: 50 * 1024 * 1024 }],
  [["operator-bandwidth=4096"], { operatorBandwidth: 4_096 }],
  [["bandwidth=1K", "bandwidth=off"], { bandwidth: undefined }],
  [["streams=1000"], { streams: 1_000 }],
];
for (const [given, expected] of values) {
  test(`${given.join(" ") || "nothing"} is understood`, () => {
    assert.equal(parseLimits(given), expected);
  });
}

const mistakes: [string, RegExp][] = [
  ["speed=5", /there is no limit "speed".*tunnel relay --limits/],
  ["constructor=5", /there is no limit "constructor"/],
  ["sessions", /there is no limit|read --limit sessions/],
  ["sessions=", /read --limit sessions/],
  ["sessions=0", /read --limit sessions.*from 1/],
  ["sessions=many", /read --limit sessions/],
  ["streams=1001", /read --limit streams.*1000/],
  ["dial-rate=10", /read --limit dial-rate.*COUNT\/s/],
  ["dial-rate=0/s", /read --limit dial-rate/],
  ["dial-rate=10/s:0", /read --limit dial-rate/],
  ["dial-rate=off", /read --limit dial-rate/],
  ["sign-in-time=3", /read --limit sign-in-time.*duration/],
  ["sign-in-bytes=8K", /read --limit sign-in-bytes.*8196/],
  ["bandwidth=50m", /read --limit bandwidth/],
  ["bandwidth=1000", /read --limit bandwidth.*1024/],
];
for (const [given, pattern] of mistakes) {
  test(`${given} is a usage error that names the limit`, async () => {
    const error = await failure(() => parseLimits([given]));
    assert.is(error.code, "usage");
    assert.match(error.message, pattern);
  });
}

test("the list shows every limit with the default that it has", () => {
  const lines = listLimits().split("\n\n")[0]!.split("\n");
  const shown = lines.map((line) => line.split(" ")[0]!);
  const parsed: Record<string, unknown> = { ...parseLimits(shown) };
  assert.is(parsed.streams, RELAY_LIMITS.streams);
  for (const [key, value] of Object.entries(DEFAULT_RELAY_LIMITS)) {
    assert.equal(parsed[key], value, key);
  }
  for (const line of lines) assert.ok(line.length <= 100, line);
});

test.run();
