/** What a process uses, as Linux tells it in /proc. */

/** One look at a process. */
export interface Usage {
  /** Bytes of memory that are resident, with its share of what it shares (Pss). */
  readonly resident: number;
  /** Milliseconds of CPU time so far, of all its threads, in the kernel too. */
  readonly cpu: number;
  /** File descriptors that are open. */
  readonly files: number;
}

/** Clock ticks of /proc/PID/stat in a second: 100 on every architecture that Deno runs on. */
const TICKS = 100;

export async function usageOf(pid: number): Promise<Usage> {
  const [rollup, cpu] = await Promise.all([
    Deno.readTextFile(`/proc/${pid}/smaps_rollup`),
    cpuOf(pid),
  ]);
  const resident = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1_024;
  let files = 0;
  for await (const _ of Deno.readDir(`/proc/${pid}/fd`)) files++;
  return { resident, cpu, files };
}

/** Milliseconds of CPU time so far. */
export async function cpuOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold spaces; 14 and 15 are utime and stime (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1_000 / TICKS;
}
