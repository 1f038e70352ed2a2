/**
 * One word to paste: a prefix that names kind and version, then JSON in base64url. What it carries
 * may be a secret, so no error shows any of it.
 */

import { base64url } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { parseDeviceId, parseOperatorName, parseRelayUrl } from "../names.ts";
import type { Role } from "./credential.ts";
import { certificateOf, derToPem } from "./pem.ts";

/** A kind of word. */
export interface WordKind<S extends v.GenericSchema> {
  /** "join string" */
  readonly what: string;
  /** Letters and a digit, such as `tj1.`. */
  readonly prefix: string;
  readonly schema: S;
  /** Characters that it may have. */
  readonly most: number;
  /** Where another is had. */
  readonly remedy: string;
}

/** @throws {TunnelError} `usage` when it becomes too long */
export function encodeWord<S extends v.GenericSchema>(
  kind: WordKind<S>,
  wire: v.InferInput<S>,
): string {
  const text = kind.prefix + base64url.encode(JSON.stringify(wire));
  if (text.length > kind.most) throw tooLong(kind, text);
  return text;
}

/**
 * Reads a word; spaces and line ends around it, as pasting leaves them, are ignored.
 *
 * @throws {TunnelError} `usage`; neither the message nor its causes show any of the text
 */
export function decodeWord<S extends v.GenericSchema>(
  kind: WordKind<S>,
  text: string,
): v.InferOutput<S> {
  const { prefix, most, schema } = kind;
  const trimmed = text.trim();
  if (trimmed.length > most) throw tooLong(kind, trimmed);
  if (!trimmed.startsWith(prefix)) {
    throw new RegExp(`^${prefix.slice(0, 2)}[0-9]{1,4}\\.`).test(trimmed)
      ? malformed(kind, "it is of a version this program does not know", "use the relay's version")
      : malformed(kind, `it does not start with ${prefix}`);
  }
  const result = v.safeParse(schema, parseBody(kind, trimmed.slice(prefix.length)));
  if (result.success) return result.output;
  // Only the member is named: the issue itself holds what was found there, maybe a secret.
  throw malformed(
    kind,
    `its member ${v.getDotPath(result.issues[0]) ?? "list"} is not of its form`,
  );
}

/** The relay's URL in a word; its own error would quote a part of the word. */
export function relayIn(kind: WordKind<v.GenericSchema>, text: string): string {
  try {
    return parseRelayUrl(text).href;
  } catch {
    throw malformed(kind, "its relay is not tunnel://host:port");
  }
}

/** The member's name in a word; its own error would quote a part of the word. */
export function nameIn(kind: WordKind<v.GenericSchema>, role: Role, name: string): string {
  try {
    return role === "device" ? parseDeviceId(name) : parseOperatorName(name);
  } catch {
    throw malformed(kind, `its name is not a ${role}'s`);
  }
}

/** The certificate in a word, base64url of its DER, as PEM. */
export function rootIn(kind: WordKind<v.GenericSchema>, text: string): string {
  const der = certificateOf(text.replaceAll("-", "+").replaceAll("_", "/"));
  if (!der) throw malformed(kind, "its certificate is not one");
  return derToPem(der);
}

function parseBody(kind: WordKind<v.GenericSchema>, body: string): unknown {
  try {
    const bytes = base64url.decode(body);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The cause is dropped on purpose: a JSON error quotes its input, and a secret may be in there.
    throw malformed(kind, "it is cut off or garbled");
  }
}

function tooLong(kind: WordKind<v.GenericSchema>, text: string): TunnelError {
  return malformed(kind, `it has ${text.length} characters, ${kind.most} is the most`);
}

function malformed(
  { what, remedy }: WordKind<v.GenericSchema>,
  state: string,
  other = remedy,
): TunnelError {
  return new TunnelError("usage", { action: `read the ${what}`, state, remedy: other });
}
