/** What the tests in a browser run there: bundled, and put into a page. */

import type { Session, Stream } from "../../core/transport.ts";
import { exchange, readAll, write } from "../../tests/streams.ts";
import { bytes, text } from "../../tests/text.ts";
import { type PlatformConstructor, webtransport } from "./platform.ts";

/** The relay of a test, as it gets into a page. */
export interface Relay {
  /** `host:port` */
  readonly host: string;
  /** SHA-256 of its certificate. */
  readonly hash: readonly number[];
}

interface Datagrams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

const { WebTransport } = globalThis as unknown as {
  WebTransport: new (...args: ConstructorParameters<PlatformConstructor>) =>
    & InstanceType<PlatformConstructor>
    & { readonly datagrams: Datagrams };
};

const sessions: Session[] = [];

/** @returns what names the session in the calls below */
export async function connect({ host, hash }: Relay): Promise<number> {
  const certificateHashes = () => Promise.resolve([Uint8Array.from(hash)]);
  const transport = webtransport({ WebTransport, certificateHashes });
  const session = await transport.connect(new URL(`tunnel://${host}`), { caCerts: ["a root"] });
  return sessions.push(session) - 1;
}

/** One stream: a text there and its end, then the answer and its end. */
export async function ask(id: number, question: string): Promise<string> {
  return text(await exchange(await sessions[id]!.openStream(), question));
}

/** So many streams, some at once, each with a text of its own; how many were answered with theirs. */
export async function askMany(id: number, total: number, atOnce: number): Promise<number> {
  let next = 0;
  let right = 0;
  const work = async () => {
    while (next < total) {
      const question = `stream ${next++}`;
      if (await ask(id, question) === question) right++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return right;
}

/** Answers the stream that the relay opens. */
export async function answer(id: number, word: string): Promise<string> {
  const { value } = await sessions[id]!.incoming.next();
  const question = text(await readAll(value!));
  await write(value!, bytes(word));
  await value!.writable.close();
  return question;
}

/** Sends so many bytes and gets them back; whether they are the same. */
export async function echo(id: number, length: number): Promise<boolean> {
  const sent = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(sent.subarray(at, at + 65_536));
  }
  const stream = await sessions[id]!.openStream();
  const send = async () => {
    const writer = stream.writable.getWriter();
    for (let at = 0; at < length; at += 65_536) await writer.write(sent.slice(at, at + 65_536));
    await writer.close();
  };
  const [received] = await Promise.all([readAll(stream), send()]);
  return received.length === length && received.every((byte, i) => byte === sent[i]);
}

/** Aborts its writing, or cancels its reading, once both ends have heard of the stream. */
export async function giveUp(id: number, what: "writing" | "reading"): Promise<void> {
  const stream: Stream = await sessions[id]!.openStream();
  await write(stream, bytes("begun"));
  const reader = stream.readable.getReader();
  await reader.read();
  if (what === "writing") await stream.writable.abort(new Error("changed my mind"));
  else await reader.cancel("enough");
}

/** Sends datagrams until one comes back; what it says. */
export async function datagram({ host, hash }: Relay): Promise<string> {
  const value = Uint8Array.from(hash);
  const serverCertificateHashes = [{ algorithm: "sha-256", value }];
  const platform = new WebTransport(`https://${host}/tunnel`, { serverCertificateHashes });
  await platform.ready;
  const writer = platform.datagrams.writable.getWriter();
  const reader = platform.datagrams.readable.getReader();
  let came: string | undefined;
  const reading = reader.read().then(({ value }) => came = text(value));
  // Any may be lost, and nothing tells.
  for (let i = 0; came === undefined; i++) {
    await writer.write(bytes(`datagram`));
    await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 20))]);
  }
  platform.close();
  return came;
}

export function close(id: number, code: number, reason: string): void {
  sessions[id]!.close({ code, reason });
}

/** How the session ended. */
export async function ended(id: number): Promise<{ code: number; reason: string }> {
  return { ...await sessions[id]!.closed };
}
