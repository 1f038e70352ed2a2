/** A QUIC connection whose other end is a script. */

import { concat } from "../../core/bytes.ts";
import type { QuicConnection, QuicStream } from "../../transports/webtransport/quic.ts";

/** What a connection was closed with. */
export interface Closing {
  readonly closeCode: number;
  readonly reason: string;
}

export class FakeQuic implements QuicConnection {
  readonly remoteAddr = { hostname: "192.0.2.1", port: 4_433 };
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  readonly incomingBidirectionalStreams: ReadableStream<QuicStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** How this end closed it. */
  closing?: Closing;
  /** Streams that this end opened, in order. */
  readonly opened: FakeStream[] = [];
  readonly openedUnidirectional: FakeStream[] = [];
  /** Datagrams that this end sent and the script has not taken. */
  readonly sentDatagrams: Uint8Array[] = [];
  readonly #isServer: boolean;
  readonly #settle: PromiseWithResolvers<{ closeCode?: number; reason?: string }> = Promise
    .withResolvers();
  readonly #streams: FakeStream[] = [];
  #bidirectional!: ReadableStreamDefaultController<QuicStream>;
  #unidirectional!: ReadableStreamDefaultController<ReadableStream<Uint8Array<ArrayBuffer>>>;
  #theirs = 0n;
  #ours = 0n;
  readonly #datagrams: Uint8Array[] = [];
  readonly #readers: PromiseWithResolvers<Uint8Array>[] = [];
  #ended?: Error;

  /** @param isServer whether the code under test is the server, so that the script is the client */
  constructor(isServer: boolean) {
    this.#isServer = isServer;
    this.closed = this.#settle.promise;
    this.closed.catch(() => {}); // Seen by those who look.
    this.incomingBidirectionalStreams = new ReadableStream({
      start: (controller) => void (this.#bidirectional = controller),
    });
    this.incomingUnidirectionalStreams = new ReadableStream({
      start: (controller) => void (this.#unidirectional = controller),
    });
  }

  // What HTTP/3 calls.

  createBidirectionalStream(): Promise<QuicStream> {
    if (this.#ended) return Promise.reject(this.#ended);
    const stream = this.#stream(this.#ours++ * 4n + (this.#isServer ? 1n : 0n));
    this.opened.push(stream);
    return Promise.resolve(stream);
  }

  createUnidirectionalStream(): Promise<WritableStream<Uint8Array>> {
    if (this.#ended) return Promise.reject(this.#ended);
    const stream = this.#stream(0n);
    this.openedUnidirectional.push(stream);
    return Promise.resolve(stream.writable);
  }

  sendDatagram(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended);
    this.sentDatagrams.push(bytes.slice());
    return Promise.resolve();
  }

  readDatagram(): Promise<Uint8Array> {
    if (this.#ended) return Promise.reject(this.#ended);
    const next = this.#datagrams.shift();
    if (next) return Promise.resolve(next);
    const reader = Promise.withResolvers<Uint8Array>();
    this.#readers.push(reader);
    return reader.promise;
  }

  close(closing: Closing): void {
    if (this.#ended) return;
    this.closing = closing;
    this.#end(new Error("closed"));
    this.#settle.resolve({ closeCode: 0, reason: "" });
  }

  // What a script calls.

  get over(): boolean {
    return this.#ended !== undefined;
  }

  open(): FakeStream {
    const stream = this.#stream(this.#theirs++ * 4n + (this.#isServer ? 0n : 1n));
    if (!this.#ended) this.#bidirectional.enqueue(stream);
    return stream;
  }

  openUnidirectional(): FakeStream {
    const stream = this.#stream(0n);
    if (!this.#ended) this.#unidirectional.enqueue(stream.readable);
    return stream;
  }

  sayDatagram(bytes: Uint8Array): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader) reader.resolve(bytes);
    else this.#datagrams.push(bytes);
  }

  /** The script's end closes it. */
  leave(closing: Closing): void {
    if (this.#ended) return;
    this.#end(new Error("the peer has left"));
    this.#settle.resolve(closing);
  }

  /** Ends it as a lost connection would. */
  lose(): void {
    if (this.#ended) return;
    this.#end(new Error("timed out"));
    this.#settle.reject(this.#ended);
  }

  #stream(id: bigint): FakeStream {
    const stream = new FakeStream(id);
    this.#streams.push(stream);
    return stream;
  }

  #end(error: Error): void {
    this.#ended = error;
    for (const stream of this.#streams) stream.fail(error);
    for (const reader of this.#readers.splice(0)) reader.reject(error);
    this.#bidirectional.error(error);
    this.#unidirectional.error(error);
  }
}

/** A stream; of a unidirectional one only half is used. */
export class FakeStream implements QuicStream {
  readonly readable: QuicStream["readable"];
  readonly writable: WritableStream<Uint8Array>;
  /** Whether this end wants no more of it. */
  stopped = false;
  /** Whether this end has ended or aborted its direction. */
  ended = false;
  readonly #heard: Uint8Array[] = [];
  #reading!: ReadableByteStreamController;
  #writing!: WritableStreamDefaultController;
  #isSaid = false;

  constructor(id: bigint) {
    const readable = new ReadableStream<Uint8Array<ArrayBuffer>>({
      type: "bytes",
      start: (controller) => void (this.#reading = controller as ReadableByteStreamController),
      cancel: () => {
        this.stopped = true;
        this.#isSaid = true;
      },
    });
    this.readable = Object.assign(readable, { id });
    this.writable = new WritableStream({
      start: (controller) => void (this.#writing = controller),
      write: (chunk) => void this.#heard.push(chunk.slice()),
      close: () => void (this.ended = true),
      abort: () => void (this.ended = true),
    });
  }

  /** What this end has written. */
  get heard(): Uint8Array {
    return concat(this.#heard);
  }

  say(bytes: Uint8Array): void {
    if (!this.#isSaid && bytes.length > 0) this.#reading.enqueue(bytes.slice());
  }

  end(): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    this.#reading.close();
    this.#reading.byobRequest?.respond(0);
  }

  reset(): void {
    this.#fail(new Error("reset by the peer"));
  }

  /** The script wants no more. */
  stop(): void {
    this.#writing.error(new Error("stopped by the peer"));
  }

  fail(error: Error): void {
    this.#fail(error);
    this.#writing.error(error);
  }

  #fail(error: Error): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    this.#reading.error(error);
  }
}
