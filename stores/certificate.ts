/**
 * Certificates: reading those of an operator, and making a development relay's own.
 *
 * A development relay has a root of its own, made once, and a leaf under it that is renewed before it
 * runs out. The root travels in join strings; nobody installs it into a platform's trust store.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { importPKCS8 } from "jose";
import { describe, quote, TunnelError } from "../core/errors.ts";
import { signHashes } from "../core/identity/certificate_hashes.ts";
import { canonicalHost } from "../core/names.ts";
import { withFileLock } from "./file_lock.ts";
import { readPrivate, writePrivate } from "./files.ts";

const DAY = 86_400_000;
/** Milliseconds that must remain of a leaf for it to be used again: 7 days. */
export const LEAF_RENEWAL = 7 * DAY;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]*-----END PRIVATE KEY-----/;

/** What a listener needs, and what a client needs to trust it. All PEM. */
export interface DevelopmentCertificate {
  /** The leaf alone ({@linkcode withoutRoot}). */
  cert: string;
  key: string;
  root: string;
}

/**
 * A certificate for these DNS names and IP addresses, made or renewed when the kept one lacks a name
 * or has less than {@linkcode LEAF_RENEWAL} to run. A leaf is valid for at most 14 days, because
 * browsers pin only such by their hash (W3C WebTransport, "custom certificate requirements"). Two
 * processes that ask at once get the same root.
 *
 * Each of the two files in `dir` (`root.pem`, `leaf.pem`) holds certificate and private key, so that
 * the pair is replaced as one: neither is for sharing.
 *
 * @param options.now milliseconds since the epoch; default the clock
 * @throws {TunnelError} `usage` when a name is none, `unavailable` when a kept file is damaged
 */
export async function developmentCertificate(
  dir: string,
  options: { names: string[]; now?: number },
): Promise<DevelopmentCertificate> {
  const names = [...new Set(options.names.map(certificateName))];
  if (names.length === 0) throw usage("make a certificate", "it needs a name");
  const { now = Date.now() } = options;
  return await withFileLock(`${dir}/lock`, async () => {
    let root = await readPair(`${dir}/root.pem`);
    if (!root || expiry(root.cert).getTime() - now < LEAF_RENEWAL) {
      root = await (await import("./issue.ts")).issueRoot(now);
      await writePair(`${dir}/root.pem`, root);
    }
    let leaf = await readPair(`${dir}/leaf.pem`);
    if (!leaf || !isUsable(leaf, root, names, now)) {
      leaf = await issueUnder(root, names, now, `${dir}/root.pem`);
      await writePair(`${dir}/leaf.pem`, leaf);
    }
    return { cert: leaf.cert, key: leaf.key, root: root.cert };
  });
}

/**
 * What the kept root's key says of these chains, for browsers, which take hashes and no roots
 * ({@linkcode signHashes}).
 *
 * @param options.now milliseconds since the epoch; default the clock
 * @throws {TunnelError} `unavailable` when there is no root, or it is damaged
 */
export async function developmentHashes(
  dir: string,
  chains: readonly string[],
  { now = Date.now() }: { now?: number } = {},
): Promise<string> {
  const path = `${dir}/root.pem`;
  const root = await readPair(path);
  if (!root) throw damaged(path);
  const key = await importPKCS8(root.key, "ES256") as CryptoKey;
  return await signHashes(chains, key, now);
}

/**
 * The DNS names and IP addresses (subjectAltName) of the first certificate.
 *
 * @throws {TunnelError} `usage` when there is no certificate
 */
export function certificateNames(pem: string): string[] {
  const entries = (first(pem).subjectAltName ?? "").split(", ");
  return entries.flatMap((entry) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1];
    const canonical = name && canonicalName(name);
    return canonical ? [canonical] : [];
  });
}

/**
 * Whether one of a certificate's names covers the host. A wildcard stands for exactly one whole
 * left-most label (RFC 6125, section 6.4.3) with at least two labels behind it, and never for an IP
 * address, which must be named.
 */
export function matchesName(names: readonly string[], host: string): boolean {
  const wanted = canonicalHost(host.replace(/\.$/, ""));
  if (wanted === null) return false;
  const parent = isAddress(wanted) ? null : wanted.slice(wanted.indexOf(".") + 1);
  return names.some((name) => {
    const canonical = canonicalName(name);
    if (canonical === null) return false;
    if (!canonical.startsWith("*.")) return canonical === wanted;
    return canonical.slice(2) === parent;
  });
}

/** The last certificate of a chain when it signed itself: a root to hand out. */
export function rootOfChain(pem: string): string | undefined {
  const last = certificates(pem).at(-1)!;
  const certificate = parse(last);
  const isRoot = certificate.ca && certificate.subject === certificate.issuer &&
    isSignedBy(certificate, certificate);
  return isRoot ? `${last}\n` : undefined;
}

/**
 * The chain as it is to be shown. Whoever trusts its root has it (RFC 8446, section 4.4.2); with it the
 * first flight over QUIC takes a second packet, and the room for that is kept as long as the session.
 */
export function withoutRoot(pem: string): string {
  const chain = certificates(pem);
  return chain.length > 1 && rootOfChain(pem) ? `${chain.slice(0, -1).join("\n")}\n` : pem;
}

/** When the first certificate runs out. */
export function expiry(pem: string): Date {
  return new Date(first(pem).validTo);
}

/** A certificate and its private key, both PEM. */
export interface Pair {
  cert: string;
  key: string;
}

function isUsable(leaf: Pair, root: Pair, names: string[], now: number): boolean {
  const certificate = first(leaf.cert);
  const covered = certificateNames(leaf.cert);
  return new Date(certificate.validFrom).getTime() <= now &&
    new Date(certificate.validTo).getTime() - now >= LEAF_RENEWAL &&
    isSignedBy(certificate, first(root.cert)) &&
    names.every((name) => covered.includes(name));
}

/** A leaf that verifies under the root. */
async function issueUnder(root: Pair, names: string[], now: number, path: string): Promise<Pair> {
  const { issueLeaf } = await import("./issue.ts");
  try {
    const leaf = await issueLeaf(root, names, now);
    if (isUsable(leaf, root, names, now)) return leaf;
  } catch {
    // The cause may quote the root's private key.
  }
  throw damaged(path);
}

async function readPair(path: string): Promise<Pair | undefined> {
  const file = await readPrivate(path);
  if (!file) return undefined;
  const key = PRIVATE_KEY.exec(file.text)?.[0];
  const cert = file.text.match(CERTIFICATE)?.[0];
  if (key === undefined || cert === undefined || !isPair(cert, key)) throw damaged(path);
  return { cert: `${cert}\n`, key: `${key}\n` };
}

async function writePair(path: string, pair: Pair): Promise<void> {
  await writePrivate(path, pair.cert + pair.key);
}

function certificateName(text: string): string {
  const name = canonicalName(text);
  if (name !== null) return name;
  throw usage("make a certificate", `${quote(text)} is no host name`);
}

/** A name of a certificate: a host, or a wildcard before at least two labels. */
function canonicalName(text: string): string | null {
  if (!text.startsWith("*.")) return canonicalHost(text);
  const parent = canonicalHost(text.slice(2));
  return parent && parent.includes(".") && !isAddress(parent) ? `*.${parent}` : null;
}

/** Whether a canonical host is an IP address. */
export function isAddress(host: string): boolean {
  return host.includes(":") || /^[0-9.]+$/.test(host);
}

function first(pem: string): X509Certificate {
  return parse(certificates(pem)[0]!);
}

function certificates(pem: string): string[] {
  const found = pem.match(CERTIFICATE);
  if (!found) throw usage("read a certificate", "there is none in PEM");
  return found;
}

function isPair(cert: string, key: string): boolean {
  try {
    return parse(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    // The caller's error names the file; why it does not parse would not help anyone to mend it, and
    // might quote the key.
    return false;
  }
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    // A key of a kind that is not known here: what it has signed cannot be told.
    return false;
  }
}

function parse(pem: string): X509Certificate {
  try {
    const certificate = new X509Certificate(pem);
    // The platform reads these when they are asked for, and may find only then that it cannot.
    const { subject, issuer, subjectAltName, ca, validFrom, validTo } = certificate;
    void [subject, issuer, subjectAltName, ca];
    for (const date of [validFrom, validTo]) {
      if (Number.isNaN(Date.parse(date))) throw new RangeError("a date of it is none");
    }
    return certificate;
  } catch (cause) {
    throw usage("read a certificate", describe(cause), cause);
  }
}

function damaged(path: string): TunnelError {
  return new TunnelError("unavailable", {
    action: `read ${path}`,
    state: "it does not hold a certificate and its private key",
    remedy: "remove it, and hand out new join strings if it was root.pem",
  });
}

function usage(action: string, state: string, cause?: unknown): TunnelError {
  return new TunnelError("usage", { action, state, cause });
}
