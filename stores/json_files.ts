/** Private files of JSON with a schema. */

import * as v from "valibot";
import { TunnelError } from "../core/errors.ts";
import { readPrivate, writePrivate } from "./files.ts";

/**
 * What a file has, with a warning when other users of this machine can read it; undefined when there
 * is none.
 *
 * @throws {TunnelError} `unavailable` when it is damaged or cannot be read; never with its text
 */
export async function readJson<S extends v.GenericSchema>(
  path: string,
  schema: S,
): Promise<{ value: v.InferOutput<S>; warning?: string } | undefined> {
  const file = await readPrivate(path);
  if (file === undefined) return undefined;
  try {
    return { value: v.parse(schema, JSON.parse(file.text)), warning: file.warning };
  } catch {
    // The cause would quote the file, which may hold a private key.
    throw new TunnelError("unavailable", {
      action: `read ${path}`,
      state: "the file is damaged",
      remedy: "restore it from a backup, or remove it and join again",
    });
  }
}

/** Writes a value so that people can read it. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writePrivate(path, `${JSON.stringify(value, null, 2)}\n`);
}
