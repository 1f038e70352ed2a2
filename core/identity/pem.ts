/** Certificates as text: PEM (RFC 7468) and base64 of DER. */

import { TunnelError } from "../errors.ts";

/** One certificate as PEM (RFC 7468), lines of 64 characters. */
export function derToPem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/**
 * The first certificate of a PEM text.
 *
 * @throws {TunnelError} `usage` when there is none
 */
export function pemToDer(pem: string): Uint8Array<ArrayBuffer> {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/.exec(pem);
  const der = certificateOf(body?.[1]?.replace(/\s+/g, "") ?? "");
  if (!der) {
    throw new TunnelError("usage", { action: "read a certificate", state: "there is none in PEM" });
  }
  return der;
}

/** The bytes of a certificate in base64; null when it is none. */
export function certificateOf(text: string): Uint8Array<ArrayBuffer> | null {
  const der = fromBase64(text);
  return der && isDerSequence(der) ? der : null;
}

/** Whether the bytes are one DER SEQUENCE and nothing behind it, as every certificate is. */
function isDerSequence(der: Uint8Array): boolean {
  const size = der[1] ?? 0;
  const more = size > 0x80 ? size - 0x80 : 0;
  if (der[0] !== 0x30 || size === 0x80 || more > 3) return false;
  let length = more === 0 ? size : 0;
  for (let i = 0; i < more; i++) length = length * 256 + (der[2 + i] ?? 0);
  return length > 0 && der.length === 2 + more + length;
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    // Not base64: the caller says what that means.
    return null;
  }
}
