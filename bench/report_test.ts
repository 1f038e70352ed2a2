import { suite } from "uvu";
import * as assert from "uvu/assert";
import { formatFigure, formatNumber } from "./figures.ts";
import { formatJson, formatReport, formatSuite } from "./report.ts";
import { REPORT } from "./test_report.ts";

const test = suite("bench report");

test("a case is a table: a line a contender, ratios, CPU and memory by role", () => {
  assert.equal(
    formatSuite("throughput", REPORT.results).split("\n").slice(0, 5),
    [
      "up, 8 streams, 64 KiB writes",
      "                  Mbit/s  spread  to bare  to direct  to plain  CPU s/GB        of it         MiB",
      "direct             12000    20 %",
      "tunnel websocket    1000    20 %     0.90      0.083      0.95      9.50  3.3+2.9+3.3  102+99+110",
      "rathole noise        800                                                      -+0.4-",
    ].map((line) => line.replace("-+0.4-", "-+0.4+-")),
  );
});

test("a contender that failed is a line with the reason, cut to the width", () => {
  const line = formatSuite("throughput", REPORT.results).split("\n")[5]!;
  assert.match(line, /^frp <tcp> {2}FAILED: it did not start: very very/);
  assert.is(line.length, 100);
});

test("long times are given in the next unit, and p99 under load is compared with idle", () => {
  assert.equal(formatSuite("latency", REPORT.results).split("\n"), [
    "round trip, 64 bytes, under load up",
    "                p50      p99  to idle",
    "tunnel quic  250 µs  25.0 ms     4.50",
  ]);
});

test("the whole is no wider than 100 columns and names machine, suites and absent tools", () => {
  const text = formatReport(REPORT);
  for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  assert.match(text, /^Some CPU, 2 cores, 8\.0 GiB, linux x86_64 6\.1\.0\.\n/);
  assert.match(text, "2026-01-02, 10 minutes, load 0.10 to 1.90.");
  assert.match(text, "\nlatency\n=======\n");
  assert.match(text, "Not measured:\nrathole tls: rathole not installed: run bench/peers");
  assert.not.match(text, "quick");
  assert.match(formatReport({ ...REPORT, quick: true }), "quick: a first impression");
});

test("JSON has all of it", () => {
  assert.equal(JSON.parse(formatJson(REPORT)), JSON.parse(JSON.stringify(REPORT)));
});

test("figures keep three digits that count", () => {
  const numbers = [[0, "0"], [0.1234, "0.123"], [4.567, "4.57"], [45.67, "45.7"], [999.9, "1000"]];
  for (const [value, text] of numbers) assert.is(formatNumber(value as number), text);
  assert.is(formatNumber(12_345.6), "12346");
  assert.is(formatFigure(999, "µs"), "999 µs");
  assert.is(formatFigure(1_500, "µs"), "1.50 ms");
  assert.is(formatFigure(12_000_000, "µs"), "12.0 s");
  assert.is(formatFigure(5_000, "ms"), "5000 ms");
  assert.is(formatFigure(3, ""), "3.00");
});

test.run();
