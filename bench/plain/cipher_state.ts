/**
 * The engine without its encryption, as the yardstick for what encryption costs: in place of
 * core/noise/cipher_state.ts by the import map beside this file, and never otherwise. Handshakes are
 * real, records are copied.
 */

// The query makes it another module to the import map: the real one.
import { CipherState as Real } from "../../core/noise/cipher_state.ts?real";
export { REKEY_AFTER, writeNonce } from "../../core/noise/cipher_state.ts?real";
export type { CipherStateOptions } from "../../core/noise/cipher_state.ts?real";

const TAG = 16;

export class CipherState extends Real {
  override seal(
    ad: Uint8Array,
    parts: readonly Uint8Array[],
    target: Uint8Array<ArrayBuffer>,
    offset: number,
  ): void {
    if (ad.length > 0) return super.seal(ad, parts, target, offset);
    for (const part of parts) {
      target.set(part, offset);
      offset += part.length;
    }
  }

  override open(ad: Uint8Array, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    return ad.length > 0 ? super.open(ad, sealed) : sealed.slice(0, -TAG);
  }
}
