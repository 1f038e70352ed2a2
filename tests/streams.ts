/** Streams of any transport, as tests use them. */

import * as assert from "uvu/assert";
import type { Session, Stream } from "../core/transport.ts";
import { bounded } from "./bounded.ts";
import { bytes } from "./text.ts";

/** Opens a stream at one end and accepts it at the other; its first byte is spent on that. */
export async function connected(from: Session, to: Session): Promise<[Stream, Stream]> {
  return await bounded(
    "a new stream",
    (async () => {
      const near = await from.openStream();
      const accepting = accept(to);
      await write(near, new Uint8Array([1]));
      const far = await accepting;
      const reader = far.readable.getReader();
      const first = await reader.read();
      assert.is(first.value?.length, 1);
      reader.releaseLock();
      return [near, far];
    })(),
  );
}

async function accept(session: Session): Promise<Stream> {
  const { value, done } = await session.incoming.next();
  if (done) throw new Error("the session ended");
  return value;
}

export async function write(stream: Stream, chunk: Uint8Array): Promise<void> {
  const writer = stream.writable.getWriter();
  await writer.write(chunk);
  writer.releaseLock();
}

export async function readAll(stream: Stream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.readable) chunks.push(chunk.slice());
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

export async function exchange(stream: Stream, message: string): Promise<Uint8Array> {
  const [, answer] = await Promise.all([
    write(stream, bytes(message)).then(() => stream.writable.close()),
    readAll(stream),
  ]);
  return answer;
}

/** Sends back what comes, until the peer ends. */
export async function serveEcho(stream: Stream): Promise<void> {
  const reader = stream.readable.getReader();
  const writer = stream.writable.getWriter();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    await writer.write(value);
  }
  await writer.close();
}

export async function serveEchoes(session: Session, count: number): Promise<void> {
  const serving: Promise<void>[] = [];
  for (let i = 0; i < count; i++) serving.push(serveEcho(await accept(session)));
  await Promise.all(serving);
}

export function roundTripper(stream: Stream) {
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  return {
    async run(times: number) {
      for (let i = 0; i < times; i++) {
        await writer.write(new Uint8Array([i]));
        await reader.read();
      }
    },
    end: () => writer.close(),
  };
}

/** Whether writes fail once the session is gone; a platform may take a few before it notices. */
export async function lateWrites(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<string> {
  try {
    for (let i = 0; i < 100; i++) await writer.write(new Uint8Array(65_536));
    return "taken";
  } catch {
    return "no";
  }
}
