/**
 * What processes use over a span of time, by role: CPU and memory, with those of the processes that
 * they start. It is read from /proc, so Linux only.
 */

import type { Process } from "./contenders.ts";
import { family, read } from "./family.ts";

export interface Usage {
  /**
   * Seconds, user and system, in steps of 0.01 s. Those of a child that has ended count, if its
   * parent has waited for it.
   */
  readonly cpu: number;
  /**
   * Bytes resident at the most: the sum of each process's own peak, which they need not have reached
   * at the same moment. Undefined where the system does not let this user begin a peak anew.
   */
  readonly peak: number | undefined;
}

export interface Span {
  /**
   * What was used since the start, by role.
   *
   * @throws when a process has ended since then, as nobody can tell any more what it used
   */
  end(): Record<string, Usage>;
}

/** Ticks a second of the times in /proc/PID/stat: 100 for programs on each of Deno's platforms. */
const TICKS = 100;

/**
 * Starts to watch these processes; one span at a time, as it begins their peaks anew.
 *
 * @returns undefined where the system has no /proc to tell
 * @throws when one of them has ended
 */
export function startUsage(processes: readonly Process[]): Span | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const before = processes.map(({ role, pid }) => ({
    role,
    pid,
    began: ticks(role, pid),
    reset: family(pid).map(resetPeak).every(Boolean),
  }));
  return {
    end() {
      const roles: Record<string, Usage> = {};
      for (const { role, pid, began, reset } of before) {
        const cpu = (ticks(role, pid) - began) / TICKS;
        const peak = reset ? family(pid).map(peakOf).reduce(add) : undefined;
        const { [role]: known } = roles;
        roles[role] = known ? { cpu: known.cpu + cpu, peak: sum(known.peak, peak) } : { cpu, peak };
      }
      return roles;
    },
  };
}

/** Of the process, its descendants, and of those descendants that have ended and were waited for. */
function ticks(role: string, pid: number): number {
  if (read(`/proc/${pid}/stat`) === undefined) {
    throw new Error(`measure what the ${role} uses: process ${pid} has ended`);
  }
  return family(pid).map(ticksOf).reduce(add);
}

/** proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17. */
function ticksOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`) ?? "";
  // The second field, the name, may hold anything, brackets and spaces too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).map(Number).reduce(add, 0);
}

/** Bytes; 0 for one that has gone. */
function peakOf(pid: number): number {
  const status = read(`/proc/${pid}/status`) ?? "";
  return 1024 * Number(status.match(/^VmHWM:\s+(\d+) kB$/m)?.[1] ?? 0);
}

/** Has the peak begin at what is resident now. @returns false when this user may not */
function resetPeak(pid: number): boolean {
  try {
    Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5", { create: false });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true; // It has gone, and its peak with it.
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

function add(one: number, other: number): number {
  return one + other;
}
