/** Text as bytes and back, for tests that read what they have written. */

export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** @param bytes null, where a stream has ended, is an error */
export function text(bytes: Uint8Array | null | undefined): string {
  if (!bytes) throw new Error("the stream has ended");
  return new TextDecoder().decode(bytes);
}
