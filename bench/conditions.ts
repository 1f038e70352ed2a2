/** What figures were taken on, and with what; they mean nothing without it. */

import { cpus } from "node:os";
import { VERSION } from "../cmd/context.ts";
import { DESCRIPTIONS, type Field } from "./contenders.ts";
import type { Row } from "./measure.ts";

export interface Conditions {
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  readonly deno: string;
  readonly tunnel: string;
  /** The load of the last minute, before and after; more than its own before spoils the figures. */
  readonly load: readonly [before: number, after: number];
  /** ISO 8601. */
  readonly began: string;
  readonly seconds: number;
  readonly contenders: Readonly<Record<string, Description>>;
  /** Tools and suites that this machine cannot have, and why. */
  readonly absent: Readonly<Record<string, string>>;
}

export interface Machine {
  readonly system: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  /** Bytes. */
  readonly memory: number;
}

export interface Description {
  readonly description: string;
  readonly version?: string;
}

/** A whole run, as `--json` writes it. */
export interface Report extends Conditions {
  readonly results: readonly Row[];
}

/** @param field undefined where no suite needed it */
export function conditions(
  { quick, rounds }: { quick: boolean; rounds: number },
  before: { load: number; began: Date },
  field: Field | undefined,
): Conditions {
  return {
    quick,
    rounds,
    machine: {
      system: `${Deno.build.os} ${Deno.build.arch}`,
      kernel: Deno.osRelease(),
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: navigator.hardwareConcurrency,
      memory: Deno.systemMemoryInfo().total,
    },
    deno: Deno.version.deno,
    tunnel: VERSION,
    load: [before.load, Deno.loadavg()[0]!],
    began: before.began.toISOString(),
    seconds: Math.round((Date.now() - before.began.getTime()) / 1_000),
    contenders: Object.fromEntries(
      (field?.contenders ?? []).map(({ name, version }) => [
        name,
        { description: DESCRIPTIONS[name] ?? "", version },
      ]),
    ),
    absent: Object.fromEntries(field?.absent ?? []),
  };
}
