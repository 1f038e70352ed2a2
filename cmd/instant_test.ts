import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { formatInstant, parseSince, parseUntil } from "./instant.ts";

const test = suite("instants");
const NOW = Date.UTC(2026, 0, 31, 12);

const instants: [text: string, at: string][] = [
  ["2026-02-01", "2026-02-01T00:00:00.000Z"],
  ["2026-02-01T18:00Z", "2026-02-01T18:00:00.000Z"],
  ["2026-02-01T18:00:05Z", "2026-02-01T18:00:05.000Z"],
  ["2026-02-01T18:00:05.25Z", "2026-02-01T18:00:05.250Z"],
  ["2026-02-01T00:30+02:00", "2026-01-31T22:30:00.000Z"],
  ["2024-02-29", "2024-02-29T00:00:00.000Z"],
];
for (const [text, at] of instants) {
  test(`${text} is ${at}, whether something begins or ends`, () => {
    assert.is(formatInstant(parseUntil(text, NOW)), at);
    assert.is(formatInstant(parseSince(text, NOW)), at);
  });
}

test("a duration is from now on for an end, and up to now for a beginning", () => {
  assert.is(parseUntil("8h", NOW), NOW + 8 * 3_600_000);
  assert.is(parseSince("7d", NOW), NOW - 7 * 86_400_000);
  assert.is(parseSince("7d", 5), 0);
});

const wrong = [
  ...["", "now", "8", "8w", "0h", "-8h", "8h ", "99999d", "2026", "2026-2-1", "2026-02-30"],
  ...["2026-13-01", "2025-02-29", "2026-02-01T25:00Z", "2026-02-01T18:00", "2026-02-01 18:00Z"],
  ...["1969-12-31", "2026-02-01T18:00:00+99:00", "01/02/2026", "1767225600000"],
];
for (const text of wrong) {
  test(`${JSON.stringify(text)} is neither duration nor instant`, async () => {
    assert.is((await failure(() => parseUntil(text, NOW))).code, "usage");
    assert.is((await failure(() => parseSince(text, NOW))).code, "usage");
  });
}

test.run();
