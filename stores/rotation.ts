/**
 * How `tunnel rotate` reaches the process that runs a device: through a file in the home. Whoever
 * removes the file has the request, so that it is served once.
 */

import { withDeadline } from "../core/deadline.ts";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import { ensureDir, parentOf, writePrivate } from "./files.ts";

/** Milliseconds that a running process has to take a request. */
const TAKEN_WITHIN = 3_000;

/** Asks; false when no process has taken the request. */
export async function askToRotate(path: string): Promise<boolean> {
  await ensureDir(parentOf(path));
  using watcher = Deno.watchFs(parentOf(path));
  await writePrivate(path, `${new Date().toISOString()}\n`);
  try {
    const options = { action: "ask the running device", timeout: TAKEN_WITHIN };
    await withDeadline(options, () => untilChange(watcher, async () => !await isThere(path)));
    return true;
  } catch (cause) {
    if (!(cause instanceof TunnelError) || cause.code !== "timeout") throw cause;
    return !await take(path);
  }
}

/** Waits until `isDone` holds; it is asked again after each change of a watched folder. */
export async function untilChange(
  watcher: Deno.FsWatcher,
  isDone: () => Promise<boolean>,
): Promise<void> {
  const changes = watcher[Symbol.asyncIterator]();
  while (!await isDone()) {
    if ((await changes.next()).done) return;
  }
}

/**
 * Each request that comes, those that nobody had taken included, until the signal fires.
 *
 * @throws {TunnelError} `unavailable` when the folder cannot be watched
 */
export async function* rotationsAsked(path: string, signal: AbortSignal): AsyncGenerator<void> {
  const action = `watch ${parentOf(path)}`;
  await ensureDir(parentOf(path));
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(parentOf(path));
  } catch (cause) {
    throw toTunnelError(cause, action, "unavailable");
  }
  const stop = () => watcher.close();
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (await take(path)) yield;
    for await (const _ of watcher) {
      if (signal.aborted) return;
      if (await take(path)) yield;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    if (!signal.aborted) watcher.close();
  }
}

/** Whether the file was there, and this call has removed it. */
async function take(path: string): Promise<boolean> {
  try {
    await Deno.remove(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw toTunnelError(cause, `remove ${path}`, "unavailable");
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw toTunnelError(cause, `look at ${path}`, "unavailable");
  }
}
