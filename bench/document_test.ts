import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { fillDocument } from "./document.ts";
import { REPORT } from "./test_report.ts";

const test = suite("bench document");

const BEGIN = "<!-- begin run -->";
const END = "<!-- end run -->";

test("a run goes between the markers; what is around them stays", () => {
  const filled = fillDocument(`# Prose\n\n${BEGIN}\n\nold\n\n${END}\n\nMore.\n`, [REPORT]);
  assert.ok(filled.startsWith(`# Prose\n\n${BEGIN}\n\n## The run\n`));
  assert.ok(filled.endsWith(`\n\n${END}\n\nMore.\n`));
  assert.not.match(filled, "old");
  assert.match(filled, "Some CPU, 2 cores");
  assert.match(filled, "](benchmarks.svg)");
  assert.match(filled, "- **openssh** 9.2p1: two hops.\n");
  assert.match(filled, "- **rathole tls** was not measured: rathole not installed");
  assert.match(filled, "### throughput\n\n```text\nup, 8 streams, 64 KiB writes\n");
  assert.is(fillDocument(filled, [REPORT]), filled, "the same run changes nothing");
});

test("runs of other suites come one behind the other, each with its conditions", () => {
  const results = REPORT.results.map((row) => ({ ...row, suite: "fleet" }));
  const other = { ...REPORT, machine: { ...REPORT.machine, cpu: "Another CPU" }, results };
  const filled = fillDocument(`${BEGIN}${END}`, [REPORT, other]);
  const places = ["Some CPU", "### throughput", "Another CPU", "### fleet"];
  const at = places.map((place) => filled.indexOf(place));
  assert.ok(at[0]! > 0);
  assert.equal(at, at.toSorted((a, b) => a - b));
});

test("a document without a place for it is an error", async () => {
  for (const text of ["# Prose", `${END} ${BEGIN}`]) {
    const error = await failure(() => fillDocument(text, [REPORT]));
    assert.is(error.code, "usage");
    assert.match(error.message, "<!-- begin run -->");
  }
});

test("the repository's document has the place", async () => {
  const text = await Deno.readTextFile(new URL("../docs/BENCHMARKS.md", import.meta.url));
  assert.match(fillDocument(text, [REPORT]), "### throughput");
});

test.run();
