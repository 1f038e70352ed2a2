/** The console's files: beside the executable's code, or made from source when they are wanted. */

import { MANIFEST, type Manifest } from "./console_manifest.ts";

/** One file, ready to be sent. */
export interface Asset {
  readonly type: string;
  readonly tag: string;
  readonly isForever: boolean;
  readonly plain: Uint8Array;
  readonly gzip: Uint8Array;
}

/** By path, as requests name it. */
export type Assets = ReadonlyMap<string, Asset>;

/** Where cmd/compile.ts puts them into the executable. */
const EMBEDDED = new URL("./console/", import.meta.url);
const MADE = new URL("../dist/console/", import.meta.url);

/** Reads them all into memory: some hundred kilobytes. */
export async function loadAssets(): Promise<Assets> {
  const embedded = await readManifest(EMBEDDED);
  if (embedded) return await read(EMBEDDED, embedded);
  const made = await readManifest(MADE);
  if (made && await isCurrent(made)) return await read(MADE, made);
  // Not a literal, so that the executable, which has the files, is bundled without the bundler.
  const builder = new URL("./console_build.ts", import.meta.url).href;
  const { buildConsole } = await import(builder) as typeof import("./console_build.ts");
  await buildConsole(MADE);
  return await read(MADE, (await readManifest(MADE))!);
}

async function readManifest(folder: URL): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(new URL(MANIFEST, folder)));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw cause;
  }
}

async function isCurrent({ inputs }: Manifest): Promise<boolean> {
  const root = new URL("../", import.meta.url);
  const checks = Object.entries(inputs).map(async ([name, stamp]) => {
    try {
      const { mtime, size } = await Deno.stat(new URL(name, root));
      return `${mtime?.getTime()}:${size}` === stamp;
    } catch {
      return false; // A source that is gone is a change like any other.
    }
  });
  return (await Promise.all(checks)).every(Boolean);
}

async function read(folder: URL, { assets }: Manifest): Promise<Assets> {
  const entries = Object.entries(assets).map(async ([at, { file, type, tag, isForever }]) => {
    const plain = await Deno.readFile(new URL(file, folder));
    const gzip = await Deno.readFile(new URL(`${file}.gz`, folder));
    return [at, { type, tag, isForever: isForever ?? false, plain, gzip }] as const;
  });
  return new Map(await Promise.all(entries));
}
