/**
 * Issuing a development relay's certificates. Loading `@peculiar/x509` takes longer than everything
 * else a command does at its start, so `certificate.ts` loads this file only when it must issue.
 */

// First: a dependency of x509 does not load without it.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { isAddress, type Pair } from "./certificate.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const ROOT_NAME = "CN=tunnel development root";

/** A root that signs leaves and nothing else, valid for ten years. */
export async function issueRoot(now: number): Promise<Pair> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: ROOT_NAME,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(now, 3_650 * DAY),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return await pair(certificate, keys.privateKey);
}

/** A server's certificate for DNS names and IP addresses, valid for 14 days. */
export async function issueLeaf(root: Pair, names: string[], now: number): Promise<Pair> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(root.cert);
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    // An empty subject makes the names critical (RFC 5280, section 4.2.1.6).
    new x509.SubjectAlternativeNameExtension(names.map(generalName), true),
    await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: "",
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(root.key),
    signingAlgorithm: ALGORITHM,
    ...validity(now, 14 * DAY),
    extensions,
  });
  return await pair(certificate, keys.privateKey);
}

/** Both ends count (RFC 5280, section 4.1.2.5), hence the second; the hour is for slow clocks. */
function validity(now: number, length: number) {
  const notBefore = new Date(now - HOUR);
  const notAfter = new Date(notBefore.getTime() + length - 1_000);
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Positive and of constant length (RFC 5280, section 4.1.2.2).
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return { serialNumber: serial.toHex(), notBefore, notAfter };
}

function generalName(name: string): { type: "dns" | "ip"; value: string } {
  return { type: isAddress(name) ? "ip" : "dns", value: name };
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
}

async function importKey(pem: string): Promise<CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return await crypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

async function pair(certificate: x509.X509Certificate, key: CryptoKey): Promise<Pair> {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", key);
  return {
    cert: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
  };
}
