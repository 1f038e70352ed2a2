import { suite } from "uvu";
import * as assert from "uvu/assert";
import { drawChart } from "./chart.ts";
import { REPORT } from "./test_report.ts";

const test = suite("bench chart");

const svg = await drawChart(REPORT);

test("it is one SVG element with text as text, and nothing from elsewhere", () => {
  assert.match(svg, /^<svg [^>]*>[^]*<\/svg>\n$/);
  for (const text of ["throughput", "latency", "up, 8 streams, 64 KiB writes", "tunnel quic"]) {
    assert.match(svg, new RegExp(`<text[^>]*>(<tspan[^>]*>)?${text}<`), text);
  }
  assert.not.match(svg, /<(script|image|foreignObject)|url\(|@import/);
  const links = [...svg.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
  assert.equal(links, []);
});

test("axes have units and say which way is better", () => {
  assert.match(svg, ">Mbit/s, more is better<");
  // 25 ms is more than is read well in µs.
  assert.match(svg, ">ms, more is better<");
});

test("a failed contender is drawn as failed, and what names it does not become markup", () => {
  assert.match(svg, ">failed<");
  assert.match(svg, "frp &lt;tcp&gt;");
  assert.not.match(svg, "<tcp>");
});

test("the tunnel stands out, whiskers go from the least to the most, a bar off the scale is cut", () => {
  const tunnel = /aria-label="[^"]*tunnel websocket[^"]*"[^>]*aria-roledescription="bar"[^>]*/;
  assert.match(svg.match(tunnel)![0], 'fill="#0969da"');
  assert.match(svg, /aria-roledescription="rule mark"/);
  assert.match(svg, ">» 12000 Mbit/s<");
  assert.match(svg, ">1000 Mbit/s<");
});

test("on a dark ground every colour that is drawn has another", () => {
  const [, dark] = svg.match(/@media \(prefers-color-scheme:dark\)\{(.*)\}<\/style>/)!;
  const drawn = new Set(
    [...svg.matchAll(/(fill|stroke)="(#[0-9a-f]+|[a-z]+)"/g)].map(([, name, colour]) =>
      `${name}="${colour}"`
    ),
  );
  for (const one of drawn) {
    if (/"(none|transparent)"/.test(one)) continue;
    assert.ok(dark!.includes(`[${one}]{`), one);
  }
});

test.run();
