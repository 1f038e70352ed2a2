import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { Authority } from "./credential.ts";
import { decodeJoin, encodeJoin, hashSecret, type Join, MAX_JOIN, newSecret } from "./join.ts";
import { derToPem, pemToDer } from "./pem.ts";

const test = suite("join");
const random = new Random(newSeed());

const authority = (await Authority.generate()).publicJwk;
const secret = newSecret();
const join: Join = {
  relay: "tunnel://relay.example.com:443",
  role: "device",
  name: "pi-7",
  secret,
  authority,
};
/** A DER SEQUENCE of so many bytes, which is all that is asked of a root here. */
function der(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array([0x30, 0x82, length >> 8, length & 255, ...random.bytes(length)]);
  return bytes;
}

const wire = { u: join.relay, r: "device", n: "pi-7", s: secret, a: authority.x };
function encode(value: unknown): string {
  return `tj1.${base64url.encode(JSON.stringify(value))}`;
}

/** The refusal of a text, which must not show the secret anywhere, causes included. */
async function refusal(text: string): Promise<string> {
  const error = await failure(() => decodeJoin(text));
  assert.is(error.code, "usage", error.message);
  const shown = Deno.inspect(error, { depth: 10, strAbbreviateSize: 1e6 }) + error.stack;
  for (
    const part of [
      secret,
      secret.slice(0, 8),
      secret.slice(-8),
      base64url.encode(secret).slice(4, 20),
    ]
  ) {
    assert.is(shown.includes(part), false, shown);
  }
  return error.message;
}

test("a join string comes back as it was", () => {
  for (const root of [undefined, derToPem(der(400)), derToPem(der(4_000))]) {
    const whole = root === undefined ? join : { ...join, root };
    assert.equal(decodeJoin(encodeJoin(whole)), whole);
  }
  const operator: Join = { ...join, role: "operator", name: "night", relay: "tunnel://[::1]:4433" };
  assert.equal(decodeJoin(encodeJoin(operator)), operator);
});

test("its form is the documented one", () => {
  const text = encodeJoin(join);
  assert.match(text, /^tj1\.[A-Za-z0-9_-]+$/);
  const body = JSON.parse(new TextDecoder().decode(base64url.decode(text.slice(4))));
  assert.equal(body, wire);
});

test("spaces and line ends around a pasted join string are ignored", () => {
  assert.equal(decodeJoin(`\n  ${encodeJoin(join)}\r\n`), join);
});

test("members of a later version are ignored", () => {
  assert.equal(decodeJoin(encode({ ...wire, later: 1 })), join);
});

test("another version is named as such", async () => {
  assert.match(await refusal(`tj2.${encodeJoin(join).slice(4)}`), "version");
  assert.match(await refusal(`tj12.${encodeJoin(join).slice(4)}`), "version");
});

for (const text of ["", "tj1", "tj1.", "tj.", "TJ1.AAAA", "hello", "tunnel://relay", "tj1 .AAAA"]) {
  test(`${JSON.stringify(text)} is refused`, async () => {
    await refusal(text);
  });
}

test("every cut-off join string is refused and keeps its secret", async () => {
  const text = encodeJoin(join);
  for (let length = 0; length < text.length; length++) await refusal(text.slice(0, length));
});

test("a garbled join string is refused or differs, and keeps its secret", async () => {
  const text = encodeJoin(join);
  for (let i = 0; i < 500; i++) {
    const at = 4 + random.below(text.length - 4);
    const garbled = text.slice(0, at) + random.pick(["!", ".", "=", "\0", "é"]) +
      text.slice(at + 1);
    await refusal(garbled);
  }
});

test("bytes that are no UTF-8 or no JSON are refused without a quotation of them", async () => {
  const json = JSON.stringify(wire);
  for (
    const body of [json.slice(0, -1), json + json, `${json},`, json.replace('"r"', "r"), `x${json}`]
  ) {
    await refusal(`tj1.${base64url.encode(body)}`);
  }
  for (const tail of [secret, `"${secret}`, `{"s":"${secret}"]`, `{"s":${secret}}`]) {
    await refusal(`tj1.${base64url.encode(tail)}`);
  }
  await refusal(`tj1.${base64url.encode(new Uint8Array([0xff, 0xfe, 0x7b]))}`);
});

const bad: [string, unknown][] = [
  ["null", null],
  ["a list", [wire]],
  ["text", secret],
  ...["u", "r", "n", "s", "a"].map((member) =>
    [`no ${member}`, { ...wire, [member]: undefined }] as [string, unknown]
  ),
  ["another scheme", { ...wire, u: "https://relay.example.com" }],
  ["a URL with the secret in it", { ...wire, u: `tunnel://${secret}@relay` }],
  ["port 70000", { ...wire, u: "tunnel://relay:70000" }],
  ["a path", { ...wire, u: "tunnel://relay/x" }],
  ["another role", { ...wire, r: "relay" }],
  ["a role that is the secret", { ...wire, r: secret }],
  ["a device ID with a slash", { ...wire, n: "a/b" }],
  ["a device ID that is the secret and more", { ...wire, n: `A${secret}` }],
  ["a short secret", { ...wire, s: secret.slice(1) }],
  ["a secret and more", { ...wire, s: `${secret}A` }],
  ["a secret in a list", { ...wire, s: [secret] }],
  ["a short authority", { ...wire, a: "AAAA" }],
  ["an authority as an object", { ...wire, a: authority }],
  ["a root that is empty", { ...wire, c: "" }],
  ["a root that is no base64", { ...wire, c: "!!!" }],
  ["a root that is no DER", { ...wire, c: base64url.encode("hello") }],
  ["a root that is cut off", { ...wire, c: base64url.encode(der(400).subarray(0, 300)) }],
  ["a root with more behind it", { ...wire, c: base64url.encode(new Uint8Array([...der(9), 0])) }],
];
for (const [what, value] of bad) {
  test(`${what} is refused`, async () => {
    await refusal(encode(value));
  });
}

test("the size is limited both ways", async () => {
  assert.match(await refusal("tj1." + "A".repeat(MAX_JOIN)), `${MAX_JOIN} is the most`);
  const error = await failure(() => encodeJoin({ ...join, root: derToPem(der(8_000)) }));
  assert.match(error.message, `${MAX_JOIN} is the most`);
});

for (
  const [what, changed] of [
    ["a device ID with a slash", { name: "a/b" }],
    ["port 70000", { relay: "tunnel://relay:70000" }],
    ["a secret of its own make", { secret: "hunter2" }],
    ["a root that is no PEM", { root: "hello" }],
    ["an authority that is no key", { authority: { ...authority, x: "AAAA" } }],
  ] as const
) {
  test(`no join string is made with ${what}`, async () => {
    const error = await failure(() => encodeJoin({ ...join, ...changed }));
    assert.is(error.code, "usage");
    assert.is(Deno.inspect(error).includes("hunter2"), false);
    assert.is(Deno.inspect(error).includes(secret), false);
  });
}

test("secrets are 32 bytes, new every time, and hash to what SHA-256 says", async () => {
  const secrets = new Set(Array.from({ length: 100 }, newSecret));
  assert.is(secrets.size, 100);
  for (const each of secrets) assert.is(base64url.decode(each).length, 32);
  // FIPS 180-4's example "abc".
  assert.is(await hashSecret("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
});

test("PEM comes back as the DER it was made from, in lines of 64", async () => {
  for (const length of [1, 47, 48, 49, 400]) {
    const bytes = length < 128
      ? new Uint8Array([0x30, length, ...random.bytes(length)])
      : der(length);
    const pem = derToPem(bytes);
    assert.ok(pem.split("\n").every((line) => line.length <= 64));
    assert.equal(
      pemToDer(`before\n${pem.replaceAll("\n", "\r\n")}after ${derToPem(der(300))}`),
      bytes,
    );
  }
  for (
    const pem of ["", "hello", derToPem(new Uint8Array()), derToPem(new Uint8Array([1, 2, 3]))]
  ) {
    assert.is((await failure(() => pemToDer(pem))).code, "usage");
  }
});

test.run();
