/** `--metrics HOST:PORT`: the metrics by plain HTTP, for a Prometheus on the same machine. */

import { cpuUsage } from "node:process";
import { describe, TunnelError } from "../core/errors.ts";
import type { Metrics } from "../core/metrics.ts";
import { CONTENT_TYPE, expose } from "./exposition.ts";

export interface MetricsServer extends AsyncDisposable {
  /** Where it answers. */
  readonly url: string;
}

/**
 * Serves `/metrics` and nothing else.
 *
 * @throws {TunnelError} `unavailable` when the address cannot be had
 */
export function serveMetrics(
  metrics: Metrics,
  { hostname, port }: { hostname: string; port: number },
): MetricsServer {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname, port, onListen() {} }, (request) => answer(request, metrics));
  } catch (cause) {
    throw new TunnelError("unavailable", {
      action: `serve metrics on TCP ${host}:${port}`,
      state: describe(cause),
      remedy: "choose another address: --metrics",
      cause,
    });
  }
  return {
    url: `http://${host}:${server.addr.port}/metrics`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Adds what the system knows of this process, by the names that Prometheus's own clients use. */
export function observeProcess(metrics: Metrics, version: string): void {
  const started = Date.now() / 1_000 - performance.now() / 1_000;
  metrics.gauges("tunnel_build_info", "The program.", "version").of(version).add();
  metrics.observe(
    "process_resident_memory_bytes",
    "Resident memory.",
    "gauge",
    () => Deno.memoryUsage().rss,
  );
  metrics.observe("process_cpu_seconds_total", "CPU time, user and system.", "counter", () => {
    const { user, system } = cpuUsage();
    return (user + system) / 1e6;
  });
  metrics.observe(
    "process_start_time_seconds",
    "Start, in seconds since 1970.",
    "gauge",
    () => started,
  );
  if (Deno.build.os !== "linux") return;
  metrics.observe(
    "process_open_fds",
    "Open files and sockets.",
    "gauge",
    () => [...Deno.readDirSync("/proc/self/fd")].length,
  );
}

function answer({ method, url }: Request, metrics: Metrics): Response {
  if (new URL(url).pathname !== "/metrics") return new Response("not here\n", { status: 404 });
  if (method !== "GET" && method !== "HEAD") {
    return new Response("only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
  }
  return new Response(expose(metrics), { headers: { "content-type": CONTENT_TYPE } });
}
