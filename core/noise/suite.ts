/**
 * The suite 25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34, section 12). SHA-256 and
 * not BLAKE2s, because the key derivation of Noise then is HKDF of RFC 5869 with an empty info, which
 * platforms compute in one call; the two hashes alone are as fast as each other.
 */

/** The name of the suite within a protocol's name. */
export const SUITE_NAME = "25519_ChaChaPoly_SHA256";
/** Bytes of a public key, a private key and the result of an agreement. */
export const DH_LENGTH = 32;
/** Bytes of a hash, and of a key of the cipher. */
export const HASH_LENGTH = 32;
/** Bytes that authentication adds to what is encrypted. */
export const TAG_LENGTH = 16;

/** A private key of X25519, seen through what may be done with it. */
export interface KeyPair {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /**
   * X25519 with the public key of another (RFC 7748, section 6.1). Where `remote` is of low order it
   * either fails or gives zeros, by platform: callers go through `agree` of static_key.ts.
   */
  agree(remote: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** ENCRYPT and DECRYPT of section 4, with a nonce as it is made for the cipher (section 12). */
export interface Cipher {
  /** In place: `bytes` are a message, then 16 for its tag. */
  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, bytes: Uint8Array): void;
  /**
   * Into memory that is used for nothing else. Throws whatever the platform throws when `sealed` is
   * not authentic; it has 16 bytes or more.
   */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array<ArrayBuffer>;
}

/** The functions of section 4; each takes the lengths that it is meant for without checking them. */
export interface Suite extends Cipher {
  generateKeyPair(): KeyPair;
  /** @param privateKey 32 bytes, which are copied */
  importKeyPair(privateKey: Uint8Array): KeyPair;
  /** HASH of the two parts one after the other. */
  hash(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer>;
  /** HKDF: its outputs of 32 bytes each, one after the other. */
  hkdf(
    chainingKey: Uint8Array,
    material: Uint8Array,
    outputs: 2 | 3,
  ): Uint8Array<ArrayBuffer>;
}
