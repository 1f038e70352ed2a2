/** Private files: readable by their owner alone, replaced whole or not at all. */

import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { platform } from "node:process";
import { describe, TunnelError } from "../core/errors.ts";

/** Bytes that a private file may have; the largest real one holds a certificate chain. */
export const MAX_PRIVATE_FILE = 1024 * 1024;
/** Windows has no modes of files. */
const HAS_MODES = platform !== "win32";

/** What {@linkcode readPrivate} found. */
export interface PrivateFile {
  text: string;
  /** Set when other users of the machine can read it. Never on Windows, which has no modes. */
  warning?: string;
}

/** Makes a folder, and those above it, for the owner alone (0700). One that exists stays as it is. */
export async function ensureDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unavailable(cause, `make the folder ${path}`);
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
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    await removeIfThere(temporary);
    throw unavailable(cause, `write ${path}`);
  }
  try {
    await rename(temporary, path);
    await syncDir(dir);
  } catch (cause) {
    await removeIfThere(temporary);
    throw unavailable(cause, `write ${path}`);
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
    const info = await stat(path);
    if (!info.isFile() || info.size > MAX_PRIVATE_FILE) {
      const state = info.isFile() ? `it has ${info.size} bytes` : "it is not a file";
      throw new TunnelError("unavailable", { action, state, remedy: "move it away" });
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
    return isOpenToOthers(info)
      ? { text, warning: `${path} can be read by other users: chmod 600 ${path}` }
      : { text };
  } catch (cause) {
    if ((cause as { code?: string }).code === "ENOENT") return undefined;
    throw unavailable(cause, action);
  }
}

/** Removes a file; one that is not there is no error. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw unavailable(cause, `remove ${path}`);
  }
}

/** Whether a platform with file modes lets others than the owner at a file. */
export function isOpenToOthers({ mode }: { mode: number | null }): boolean {
  return HAS_MODES && mode !== null && (mode & 0o077) !== 0;
}

/** The folder of a file, by either separator Windows takes. */
export function parentOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), HAS_MODES ? -1 : path.lastIndexOf("\\"));
  return at < 0 ? "." : path.slice(0, at) || "/";
}

/** Makes a rename last through a loss of power. */
async function syncDir(path: string): Promise<void> {
  // Windows opens no folders, and makes renames last by itself.
  if (!HAS_MODES) return;
  const dir = await open(path, "r");
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

/** The system's own words: `permission denied` of `EACCES: permission denied, open '/a'`. */
function unavailable(cause: unknown, action: string): TunnelError {
  if (cause instanceof TunnelError) return cause;
  const state = describe(cause).replace(/^E[A-Z]+: /, "").replace(/, [a-z]+ '.*'$/, "");
  return new TunnelError("unavailable", { action, state, cause });
}
