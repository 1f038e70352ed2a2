/**
 * What the two ends of a QUIC session say to each other in datagrams. Each is five bytes:
 *
 *     u8 kind | u32 number (big-endian)
 *
 *     0 probe   the relay sends it back; those that stay out are lost
 *     1 wish    the next connection is to bear loss; the relay sends it back once it has taken note
 *
 * The client asks, and the relay answers members alone.
 */

/** What is used of a QUIC connection. */
export type Datagrams = Pick<Deno.QuicConn, "sendDatagram" | "readDatagram">;

export const Kind = { probe: 0, wish: 1 } as const;

export interface Datagram {
  readonly kind: number;
  readonly number: number;
}

const LENGTH = 5;

export function encode({ kind, number }: Datagram): Uint8Array {
  const datagram = new Uint8Array(LENGTH);
  datagram[0] = kind;
  new DataView(datagram.buffer).setUint32(1, number);
  return datagram;
}

/** Undefined for what is none. */
export function decode(datagram: Uint8Array): Datagram | undefined {
  if (datagram.length !== LENGTH || datagram[0]! > Kind.wish) return undefined;
  const { buffer, byteOffset } = datagram;
  return { kind: datagram[0]!, number: new DataView(buffer, byteOffset).getUint32(1) };
}
