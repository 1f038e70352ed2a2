import { base64url, SignJWT } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { developmentCertificate, developmentHashes } from "../../stores/certificate.ts";
import { failure } from "../../tests/failure.ts";
import {
  certificateHash,
  HASHES_TYPE,
  MAX_HASHES,
  readHashes,
  signHashes,
} from "./certificate_hashes.ts";

const test = suite("certificate hashes");
const dir = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const names = ["localhost"];
const [own, other] = await Promise.all(
  ["own", "other"].map((name) => developmentCertificate(`${dir}/${name}`, { names })),
);
const statement = await developmentHashes(`${dir}/own`, [own!.cert, other!.cert]);

test("the hashes are read, whichever of the roots has signed them", async () => {
  const expected = await Promise.all([own!.cert, other!.cert].map(certificateHash));
  assert.equal(await readHashes(statement, [own!.root]), expected);
  assert.equal(await readHashes(statement, [other!.root, own!.root]), expected);
});

test("a hash is the SHA-256 of the first certificate", async () => {
  const base64 = own!.cert.split("-----")[2]!.replace(/\s/g, "");
  const der = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  assert.equal(await certificateHash(own!.cert), expected);
});

test("no other root, key, type or form is taken", async () => {
  const { privateKey } = await newKeys();
  const stranger = await signHashes([own!.cert], privateKey, 0);
  const [head, payload, signature] = statement.split(".");
  const claims = JSON.parse(new TextDecoder().decode(base64url.decode(payload!)));
  const altered = base64url.encode(JSON.stringify({ ...claims, hashes: claims.hashes.slice(1) }));
  const wrong: [string, string[]][] = [
    [statement, [other!.root]],
    [statement, []],
    [stranger, [own!.root]],
    [`${head}.${altered}.${signature}`, [own!.root]],
    ["", [own!.root]],
    ["<!doctype html>", [own!.root]],
    ["x".repeat(MAX_HASHES + 1), [own!.root]],
  ];
  for (const [text, roots] of wrong) {
    assert.is((await failure(() => readHashes(text, roots))).code, "protocol");
  }
});

test("what the root has signed as something else, or in another form, is not taken", async () => {
  const { privateKey, publicKey } = await newKeys();
  const root = await selfSigned(privateKey, publicKey);
  const hash = base64url.encode(new Uint8Array(32));
  const sign = (typ: string, claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ }).sign(privateKey);
  assert.is((await readHashes(await sign(HASHES_TYPE, { hashes: [hash] }), [root])).length, 1);
  const wrong: [string, Record<string, unknown>][] = [
    ["JWT", { hashes: [hash] }],
    [HASHES_TYPE, {}],
    [HASHES_TYPE, { hashes: [] }],
    [HASHES_TYPE, { hashes: [hash, hash, hash, hash, hash] }],
    [HASHES_TYPE, { hashes: [hash.slice(1)] }],
  ];
  for (const [typ, claims] of wrong) {
    const text = await sign(typ, claims);
    assert.is((await failure(() => readHashes(text, [root]))).code, "protocol");
  }
});

test.run();

async function newKeys(): Promise<CryptoKeyPair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
}

/** A root whose private key is at hand. */
async function selfSigned(privateKey: CryptoKey, publicKey: CryptoKey): Promise<string> {
  await import("reflect-metadata");
  const { X509CertificateGenerator } = await import("@peculiar/x509");
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=test",
    keys: { privateKey, publicKey },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  return certificate.toString("pem");
}
