/** Locks of files, which processes take in turn. */

import { withDeadline } from "../core/deadline.ts";
import { toTunnelError } from "../core/errors.ts";
import { ensureDir, parentOf } from "./files.ts";

/** Milliseconds to wait for another process that holds a lock. */
const LOCK_TIMEOUT = 10_000;

/**
 * Runs `work` while no other process, and nothing else in this one, holds the lock of that file. The
 * platform releases the lock of a process that dies.
 *
 * @throws {TunnelError} `timeout` after 10 seconds, or what `work` threw
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const action = `lock ${path}`;
  await ensureDir(parentOf(path));
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { create: true, write: true, mode: 0o600 });
  } catch (cause) {
    throw toTunnelError(cause, action, "unavailable");
  }
  // Closing releases the lock, and one that is granted after the deadline too.
  using _held = file;
  await withDeadline(
    { action, timeout: LOCK_TIMEOUT, remedy: "another process holds it: end that one" },
    () => file.lock(true),
  );
  return await work();
}
