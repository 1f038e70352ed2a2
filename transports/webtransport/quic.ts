/** As much of a QUIC connection (`Deno.QuicConn`) as HTTP/3 needs. */

import type { RemoteAddress, Stream } from "../../core/transport.ts";

export interface QuicStream extends Stream {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>> & { readonly id: bigint };
}

export interface QuicConnection {
  readonly remoteAddr: RemoteAddress;
  /** Fulfils when the peer has closed it, or this end has; rejects when it was lost. */
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  readonly incomingBidirectionalStreams: ReadableStream<QuicStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array<ArrayBuffer>>>;
  createBidirectionalStream(options: { waitUntilAvailable: boolean }): Promise<QuicStream>;
  createUnidirectionalStream(
    options: { waitUntilAvailable: boolean },
  ): Promise<WritableStream<Uint8Array>>;
  sendDatagram(bytes: Uint8Array): Promise<void>;
  readDatagram(): Promise<Uint8Array>;
  close(info: { closeCode: number; reason: string }): void;
}

/** Tells the peer that nobody will read this. */
export function stopReading(readable: ReadableStream<Uint8Array>): void {
  readable.cancel().catch(() => {}); // It has ended already, which is as good.
}
