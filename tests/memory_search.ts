/** The memory of another process, as Linux shows it to the process that started it. */

/** Bytes that are read at once. */
const BLOCK = 1024 * 1024;

/** How often these bytes stand in the writable memory of a process. */
export async function findInMemory(pid: number, wanted: Uint8Array): Promise<number> {
  using memory = await Deno.open(`/proc/${pid}/mem`);
  const block = new Uint8Array(BLOCK);
  let found = 0;
  for (const [start, end] of await writableRegions(pid)) {
    // Blocks overlap by what a match across their border needs.
    for (let at = start; at < end; at += BLOCK - wanted.length + 1) {
      const part = block.subarray(0, Math.min(BLOCK, end - at));
      if (await readAt(memory, at, part)) found += count(part, wanted);
    }
  }
  return found;
}

async function writableRegions(pid: number): Promise<[start: number, end: number][]> {
  const maps = await Deno.readTextFile(`/proc/${pid}/maps`);
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)]
    .map(([, start, end]) => [parseInt(start!, 16), parseInt(end!, 16)]);
}

/** False where the region has gone since it was listed. */
async function readAt(file: Deno.FsFile, at: number, target: Uint8Array): Promise<boolean> {
  try {
    await file.seek(BigInt(at), Deno.SeekMode.Start);
    for (let filled = 0; filled < target.length;) {
      const length = await file.read(target.subarray(filled));
      if (length === null) return false;
      filled += length;
    }
    return true;
  } catch (error) {
    if (/os error (5|14)\b/.test(String(error))) return false; // EIO, EFAULT.
    throw error;
  }
}

function count(bytes: Uint8Array, wanted: Uint8Array): number {
  let found = 0;
  for (let at = bytes.indexOf(wanted[0]!); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) found++;
  }
  return found;
}
