import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Metrics } from "../core/metrics.ts";
import { failure } from "../tests/failure.ts";
import { expose } from "./exposition.ts";
import { observeProcess, serveMetrics } from "./metrics.ts";

const test = suite("metrics");
const localhost = { hostname: "127.0.0.1", port: 0 };

test("the text is what Prometheus reads, whatever is in it", () => {
  const metrics = new Metrics();
  const dials = metrics.counters("dials_total", "Dials\nby \\ outcome.", "outcome");
  dials.of("accepted").add(3);
  dials.of('a "quoted" \\ one\n').add();
  metrics.counters("unused_total", "Has no number yet.", "why");
  metrics.gauge("open", "Open ones.").add(1.5);
  assert.is(
    expose(metrics),
    [
      "# HELP dials_total Dials\\nby \\\\ outcome.",
      "# TYPE dials_total counter",
      'dials_total{outcome="accepted"} 3',
      'dials_total{outcome="a \\"quoted\\" \\\\ one\\n"} 1',
      "# HELP open Open ones.",
      "# TYPE open gauge",
      "open 1.5",
      "",
    ].join("\n"),
  );
});

test("it is served by HTTP, with the figures of the process, and nothing else is", async () => {
  const metrics = new Metrics();
  observeProcess(metrics, "1.2.3");
  await using server = serveMetrics(metrics, localhost);
  const response = await fetch(server.url);
  assert.is(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  assert.match(text, /^tunnel_build_info\{version="1\.2\.3"\} 1$/m);
  const value = (name: string) => Number(text.match(new RegExp(`^${name} (\\S+)$`, "m"))?.[1]);
  assert.ok(value("process_resident_memory_bytes") > 1e6);
  assert.ok(value("process_cpu_seconds_total") > 0);
  assert.ok(Math.abs(value("process_start_time_seconds") - Date.now() / 1_000) < 3_600);
  if (Deno.build.os === "linux") assert.ok(value("process_open_fds") > 2);
  const elsewhere = await fetch(new URL("/", server.url));
  assert.is(elsewhere.status, 404);
  await elsewhere.body?.cancel();
  const post = await fetch(server.url, { method: "POST" });
  assert.is(post.status, 405);
  await post.body?.cancel();
});

test("a port that is taken is said in words", async () => {
  using taken = Deno.listen(localhost);
  const { port } = taken.addr;
  const error = await failure(() => serveMetrics(new Metrics(), { ...localhost, port }));
  assert.is(error.code, "unavailable");
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*--metrics`));
});

test.run();
