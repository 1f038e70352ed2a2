/** scp through the tunnel, watched as it grows. */

import * as assert from "uvu/assert";
import { withDeadline } from "../core/deadline.ts";
import { digestOf, pattern } from "./demo_parts.ts";
import type { Running } from "./processes.ts";
import type { Ground } from "./resume_ground.ts";

/** Milliseconds for the next bytes; far more than any fault lasts. */
const PATIENCE = 120_000;

/** Kbit/s of each copy: slow enough that both are under way at the same time, whatever happens. */
const PACE = 240_000;

/** A file to copy, on both sides of the tunnel, and its SHA-256. */
export interface Original {
  readonly path: string;
  readonly bytes: number;
  readonly digest: string;
}

export async function makeOriginal({ dir }: Ground, bytes: number): Promise<Original> {
  const path = `${dir}/original`;
  await pattern(bytes).pipeTo((await Deno.create(path)).writable);
  return { path, bytes, digest: await digest(path) };
}

/** One scp under way. */
export class Copy implements AsyncDisposable {
  readonly direction: "up" | "down";
  readonly #original: Original;
  readonly #folder: string;
  readonly #scp: Running;

  constructor(ground: Ground, direction: "up" | "down", original: Original) {
    this.direction = direction;
    this.#original = original;
    this.#folder = `${ground.dir}/${direction}`;
    Deno.mkdirSync(this.#folder);
    const far = (path: string) => `${ground.target}:${path}`;
    const paths = direction === "up"
      ? [original.path, far(this.#copy)]
      : [far(original.path), this.#copy];
    this.#scp = ground.run(["scp", "-O", "-l", String(PACE), ...ground.ssh, ...paths]);
  }

  /** Bytes that have arrived. */
  get bytes(): number {
    try {
      return Deno.statSync(this.#copy).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  }

  /** Settles when more than `bytes` have arrived. Rejects when scp ends before. */
  async exceeds(bytes: number): Promise<void> {
    const action = `await ${bytes} bytes ${this.direction}`;
    const changes = Deno.watchFs(this.#folder);
    const ended = this.#scp.outcome().then(({ code, stderr }) => {
      if (this.bytes <= bytes) throw new Error(`${action}: scp ended with ${code}: ${stderr}`);
    });
    const grown = async () => {
      if (this.bytes > bytes) return;
      for await (const _ of changes) if (this.bytes > bytes) return;
    };
    try {
      await withDeadline({ action, timeout: PATIENCE }, () => Promise.race([grown(), ended]));
    } finally {
      changes.close();
    }
  }

  /** Waits for the end: scp is content, has said nothing, and the copy is the original. */
  async finish(): Promise<void> {
    const { code, stderr } = await this.#scp.outcome();
    assert.is(code, 0, stderr);
    assert.is(stderr, "");
    assert.is(
      await digest(this.#copy),
      this.#original.digest,
      `the copy ${this.direction} differs`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scp[Symbol.asyncDispose]();
  }

  get #copy(): string {
    return `${this.#folder}/copy`;
  }
}

async function digest(path: string): Promise<string> {
  return (await digestOf((await Deno.open(path)).readable)).digest;
}
