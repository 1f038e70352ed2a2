import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import {
  exportPrivateKey,
  exportPublicKey,
  generateKeyPair,
  importPrivateKey,
  importPublicKey,
  thumbprint,
} from "./keys.ts";

const test = suite("keys");

// The key pair of RFC 8037, appendix A.1, and its thumbprint, appendix A.3.
const known = {
  kty: "OKP",
  crv: "Ed25519",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
} as const;

test("a key pair signs after a round through its JSON form", async () => {
  const pair = await generateKeyPair();
  const privateKey = await importPrivateKey(await exportPrivateKey(pair.privateKey));
  const publicKey = await importPublicKey(await exportPublicKey(pair.publicKey));
  const data = new Uint8Array([1, 2, 3]);
  const signature = await crypto.subtle.sign("Ed25519", privateKey, data);
  assert.ok(await crypto.subtle.verify("Ed25519", publicKey, signature, data));
  assert.is(privateKey.extractable, false);
});

test("a key that is not extractable cannot be exported, and is not in the error", async () => {
  const { privateKey } = await generateKeyPair({ extractable: false });
  assert.is((await failure(() => exportPrivateKey(privateKey))).code, "usage");
});

test("the public form has no private member", async () => {
  const { publicKey } = await generateKeyPair();
  assert.equal(Object.keys(await exportPublicKey(publicKey)).sort(), ["crv", "kty", "x"]);
});

test("the thumbprint is that of RFC 8037, appendix A.3", async () => {
  assert.is(await thumbprint(known), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

const otherX = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
const bad: [string, unknown][] = [
  ["null", null],
  ["text", "key"],
  ["an empty object", {}],
  ["a symmetric key", { kty: "oct", k: known.x }],
  ["another curve", { ...known, crv: "X25519" }],
  ["a short x", { ...known, x: known.x.slice(1) }],
  ["a long x", { ...known, x: `${known.x}AA` }],
  ["padding", { ...known, x: `${known.x}=` }],
  ["a second spelling of x", { ...known, x: `${known.x.slice(0, -1)}p` }],
  ["x as a list", { ...known, x: [known.x] }],
];
for (const [what, jwk] of bad) {
  test(`${what} is no key`, async () => {
    assert.is((await failure(() => importPublicKey(jwk))).code, "usage");
    assert.is((await failure(() => importPrivateKey(jwk))).code, "usage");
  });
}

for (
  const [what, jwk] of [
    ["a short d", { ...known, d: "AAAA" }],
    ["no d", { ...known, d: undefined }],
    ["halves of two keys", { ...known, x: otherX }],
  ] as const
) {
  test(`${what} is refused and the private half stays unsaid`, async () => {
    const error = await failure(() => importPrivateKey(jwk));
    assert.is(error.code, "usage");
    assert.is(Deno.inspect(error).includes(known.d), false);
  });
}

test.run();
