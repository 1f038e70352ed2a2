/**
 * Counters and gauges that a program keeps of itself. How they are shown is its own business; names
 * and types are those of Prometheus.
 *
 * Counting is an addition: {@linkcode Family.of} looks a series up, so whoever counts often keeps what
 * it returned.
 */

import { TunnelError } from "./errors.ts";

/** Series that one metric has at most; what would be another counts as `other`. */
const MAX_SERIES = 64;

export type Labels = Readonly<Record<string, string>>;

/** One number of a metric. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Every number of one name. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  samples(): Iterable<Sample>;
}

/** One number. */
export class Count {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

/** The numbers of one name, told apart by labels. */
export class Family implements Metric {
  readonly #labels: readonly string[];
  readonly #series = new Map<string, { labels: Labels; count: Count }>();

  constructor(
    readonly name: string,
    readonly help: string,
    readonly type: "counter" | "gauge",
    labels: readonly string[],
  ) {
    this.#labels = labels;
  }

  /**
   * The number with these labels, in the order in which they were named. Their values come from small
   * sets, such as roles and outcomes, never from a peer.
   */
  of(...values: string[]): Count {
    const known = this.#series.get(values.join("\n"));
    if (known) return known.count;
    if (this.#series.size >= MAX_SERIES) values = values.map(() => "other");
    const key = values.join("\n");
    const labels = Object.fromEntries(this.#labels.map((label, i) => [label, values[i] ?? ""]));
    const made = this.#series.get(key) ?? { labels, count: new Count() };
    this.#series.set(key, made);
    return made.count;
  }

  *samples(): Iterable<Sample> {
    for (const { labels, count } of this.#series.values()) yield { labels, value: count.value };
  }
}

/** Everything that one program counts. */
export class Metrics implements Iterable<Metric> {
  readonly #metrics = new Map<string, Metric>();

  /** A number that only grows; its name ends with `_total`. */
  counter(name: string, help: string): Count {
    return this.counters(name, help).of();
  }

  counters(name: string, help: string, ...labels: string[]): Family {
    return this.add(new Family(name, help, "counter", labels));
  }

  /** A number that also falls. */
  gauge(name: string, help: string): Count {
    return this.gauges(name, help).of();
  }

  gauges(name: string, help: string, ...labels: string[]): Family {
    return this.add(new Family(name, help, "gauge", labels));
  }

  /** A number that is asked for when it is shown. */
  observe(name: string, help: string, type: Metric["type"], read: () => number): void {
    this.add({ name, help, type, samples: () => [{ labels: {}, value: read() }] });
  }

  /** @throws {TunnelError} `internal` when the name is taken, or none */
  add<M extends Metric>(metric: M): M {
    const { name } = metric;
    if (!/^[a-z][a-z0-9_]*$/.test(name) || this.#metrics.has(name)) {
      throw new TunnelError("internal", {
        action: "define a metric",
        state: `${JSON.stringify(name)} is taken, or no name for one`,
      });
    }
    this.#metrics.set(name, metric);
    return metric;
  }

  [Symbol.iterator](): Iterator<Metric> {
    return this.#metrics.values();
  }
}
