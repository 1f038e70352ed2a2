/** Private files: readable by their owner alone, replaced whole or not at all. */

import { withDeadline } from "../core/deadline.ts";
import { toTunnelError, TunnelError } from "../core/errors.ts";

/** Bytes that a private file may have; the largest real one holds a certificate chain. */
export const MAX_PRIVATE_FILE = 1024 * 1024;

/** Milliseconds to wait for another process that holds a lock. */
const LOCK_TIMEOUT = 10_000;

/** What {@linkcode readPrivate} found. */
export interface PrivateFile {
  text: string;
  /** Set when other users of the machine can read it. Never on Windows, which has no modes. */
  warning?: string;
}

/** Makes a folder, and those above it, for the owner alone (0700). One that exists stays as it is. */
export async function ensureDir(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw toTunnelError(cause, `make the folder ${path}`, "unavailable");
  }
}

/**
 * Writes a file for the owner alone (0600) and makes its folder. A reader, and a machine that loses
 * power, sees the old text or the new one, never a part.
 *
 * @throws {TunnelError} `unavailable` when the platform does not let it
 */
export async function writePrivate(path: string, text: string): Promise<void> {
  const dir = parentOf(path);
  await ensureDir(dir);
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    const options = { write: true, createNew: true, mode: 0o600 };
    using file = await Deno.open(temporary, options);
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(await file.write(rest));
    await file.sync();
  } catch (cause) {
    await removeIfThere(temporary);
    throw toTunnelError(cause, `write ${path}`, "unavailable");
  }
  try {
    await Deno.rename(temporary, path);
    await syncDir(dir);
  } catch (cause) {
    await removeIfThere(temporary);
    throw toTunnelError(cause, `write ${path}`, "unavailable");
  }
}

/**
 * Reads a private file; undefined when there is none. A file that others can read is still read,
 * because refusing would lock the owner out; the warning is for them.
 *
 * @throws {TunnelError} `unavailable` when it cannot be read, is no UTF-8, or is over
 * {@linkcode MAX_PRIVATE_FILE}
 */
export async function readPrivate(path: string): Promise<PrivateFile | undefined> {
  const action = `read ${path}`;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile || info.size > MAX_PRIVATE_FILE) {
      const state = info.isFile ? `it has ${info.size} bytes` : "it is not a file";
      throw new TunnelError("unavailable", { action, state, remedy: "move it away" });
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path));
    return isOpenToOthers(info)
      ? { text, warning: `${path} can be read by other users: chmod 600 ${path}` }
      : { text };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw toTunnelError(cause, action, "unavailable");
  }
}

/** Removes a file; one that is not there is no error. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) {
      throw toTunnelError(cause, `remove ${path}`, "unavailable");
    }
  }
}

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

/** Whether a platform with file modes lets others than the owner at a file. */
export function isOpenToOthers(info: Deno.FileInfo): boolean {
  return Deno.build.os !== "windows" && info.mode !== null && (info.mode & 0o077) !== 0;
}

/** The folder of a file, by either separator Windows takes. */
export function parentOf(path: string): string {
  const at = Math.max(
    path.lastIndexOf("/"),
    Deno.build.os === "windows" ? path.lastIndexOf("\\") : -1,
  );
  return at < 0 ? "." : path.slice(0, at) || "/";
}

/** Makes a rename last through a loss of power. */
async function syncDir(path: string): Promise<void> {
  // Windows opens no folders, and makes renames last by itself.
  if (Deno.build.os === "windows") return;
  using dir = await Deno.open(path, { read: true });
  await dir.sync();
}
