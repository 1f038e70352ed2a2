import { base64url, SignJWT } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import {
  type DecidedDial,
  DECISION_TYPE,
  type DecisionExpectation,
  dialDigest,
  dialId,
  helloDigest,
  makeDecision,
  MAX_DECISION,
  verifyDecision,
} from "./decision.ts";
import { exportPublicKey, generateKeyPair } from "./keys.ts";
import { digest, PROOF_TYPE } from "./proof.ts";

const test = suite("decision");
const random = new Random(newSeed());

const { privateKey, publicKey } = await generateKeyPair();
const key = await exportPublicKey(publicKey);
const credential = "the.credential.itself";
const dial: DecidedDial = {
  device: "x",
  epoch: "A".repeat(22),
  hello: await helloDigest("hello"),
  operator: "night",
  host: "plc",
  port: 22,
  protocol: "tcp",
  reason: "ticket 4711",
};
const expected: DecisionExpectation = { key, credential, dial };
const decision = await makeDecision({ privateKey, credential, dial, accept: true });

async function refusal(text: string, changed: Partial<DecisionExpectation> = {}): Promise<string> {
  const error = await failure(() => verifyDecision(text, { ...expected, ...changed }));
  assert.is(error.code, "refused", error.message);
  return error.message;
}

/** Any claims under any header, by the holder's own key. */
async function sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}) {
  const [sub, ath] = [await dialDigest(dial), await digest(credential)];
  return await new SignJWT({ sub, accept: true, iat: 1, ath, ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: DECISION_TYPE, ...header }).sign(privateKey);
}

test("a decision says yes or no, whatever the clock of who made it", async () => {
  for (const accept of [true, false]) {
    for (const now of [0, Date.UTC(1990, 0), Date.UTC(2099, 0)]) {
      const made = await makeDecision({ privateKey, credential, dial, accept, now });
      assert.is(await verifyDecision(made, expected), accept);
    }
  }
  assert.is(await verifyDecision(await sign({}), expected), true);
});

const others: Partial<DecidedDial>[] = [
  { device: "y" },
  { epoch: "B".repeat(22) },
  { hello: await helloDigest("another hello") },
  { operator: "day" },
  { host: "other" },
  { host: undefined },
  { port: 23 },
  { reason: "ticket 4712" },
  { reason: undefined },
  // Fields that run into each other would make two dials one.
  { reason: "ticket 4711\nplc", host: undefined },
  { device: "x\n", epoch: "A".repeat(21) },
];
for (const other of others) {
  test(`it is not one about a dial with ${JSON.stringify(other)}`, async () => {
    const changed = { ...dial, ...other };
    assert.match(await refusal(decision, { dial: changed }), "another dial");
    assert.is.not(await dialId(changed), await dialId(dial));
  });
}

test("it is not one with another credential or key", async () => {
  assert.match(await refusal(decision, { credential: "another" }), "another credential");
  const other = await exportPublicKey((await generateKeyPair()).publicKey);
  assert.match(await refusal(decision, { key: other }), "another key");
});

for (
  const claims of [
    { sub: undefined },
    { sub: "short" },
    { accept: undefined },
    { accept: "true" },
    { accept: 1 },
    { iat: undefined },
    { iat: 1.5 },
    { ath: undefined },
    { ath: [] },
  ]
) {
  test(`a decision with ${Deno.inspect(claims)} is refused`, async () => {
    await refusal(await sign(claims));
  });
}

test("a proof is no decision, nor is anything else that the key has signed", async () => {
  for (const typ of [PROOF_TYPE, "tunnel-credential+jwt", "JWT", undefined]) {
    await refusal(await sign({}, { typ }));
  }
});

test("no change of one character is taken for another decision", async () => {
  const no = await makeDecision({ privateKey, credential, dial, accept: false });
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (let at = 0; at < no.lastIndexOf("."); at++) {
    let char: string;
    do char = alphabet[random.below(alphabet.length)]!; while (char === no[at]);
    await refusal(`${no.slice(0, at)}${char}${no.slice(at + 1)}`);
  }
});

test("the cut-off, the garbled, the oversized and alg none are refused", async () => {
  for (let length = 0; length < decision.length; length += 11) {
    await refusal(decision.slice(0, length));
  }
  for (let i = 0; i < 100; i++) {
    await refusal(String.fromCharCode(...random.bytes(random.below(200))));
  }
  assert.match(await refusal("a".repeat(MAX_DECISION + 1)), `${MAX_DECISION} is the most`);
  const none = base64url.encode(JSON.stringify({ alg: "none", typ: DECISION_TYPE }));
  await refusal(`${none}.${decision.split(".")[1]}.`);
});

test("an ID is 16 hexadecimal digits", async () => {
  assert.match(await dialId(dial), /^[0-9a-f]{16}$/);
  assert.ok(decision.length < MAX_DECISION);
});

test.run();
