import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { Authority } from "./credential.ts";
import { derToPem } from "./pem.ts";
import { decodeSigned, encodeSigned, isSigned, MAX_SIGNED, type Signed } from "./signed.ts";

const test = suite("signed string");

const authority = (await Authority.generate()).publicJwk;
const root = derToPem(Uint8Array.of(0x30, 0x82, 0x01, 0x00, ...new Uint8Array(256)));
const whole: Signed = {
  credential: "e.y.J",
  authority,
  relay: "tunnel://relay.example.com:4433",
  root,
};

test("a signed string carries what it was made of, with and without a relay and a root", () => {
  for (const parts of [whole, { ...whole, root: undefined }, { ...whole, relay: undefined }]) {
    const text = encodeSigned(parts);
    assert.match(text, /^ts1\.[A-Za-z0-9_-]+$/);
    assert.equal(decodeSigned(`  ${text}\n`), parts);
    assert.ok(isSigned(`\n${text}`));
  }
});

test("a join string is none, and the reverse is said by name", async () => {
  assert.not.ok(isSigned("tj1.abc"));
  assert.match((await failure(() => decodeSigned("tj1.abc"))).message, /does not start with ts1\./);
  assert.ok(isSigned("ts2.abc"));
  assert.match((await failure(() => decodeSigned("ts2.abc"))).message, /version/);
});

const encode = (wire: unknown) => `ts1.${base64url.encode(JSON.stringify(wire))}`;
const wire = { t: "e.y.J", a: authority.x };
const broken: [string, string][] = [
  ["nothing", "ts1."],
  ["no JSON", `ts1.${base64url.encode("{")}`],
  ["no credential", encode({ ...wire, t: undefined })],
  ["a credential that is too long", encode({ ...wire, t: "x".repeat(4_097) })],
  ["no authority", encode({ ...wire, a: undefined })],
  ["a short authority", encode({ ...wire, a: "AAAA" })],
  ["a relay of another kind", encode({ ...wire, u: "https://relay.example.com" })],
  ["a certificate that is none", encode({ ...wire, c: "AAAA" })],
  ["too many characters", `ts1.${"A".repeat(MAX_SIGNED)}`],
];
for (const [what, text] of broken) {
  test(`${what} is a usage error that names the remedy`, async () => {
    const error = await failure(() => decodeSigned(text));
    assert.is(error.code, "usage");
    assert.match(error.message, /read the signed string: .*tunnel authority sign/);
  });
}

test("nothing is made of parts that are not of their form", async () => {
  assert.is((await failure(() => encodeSigned({ ...whole, relay: "http://x" }))).code, "usage");
  assert.is((await failure(() => encodeSigned({ ...whole, root: "hello" }))).code, "usage");
});

test.run();
