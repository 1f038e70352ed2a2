/**
 * Handshakes and conversations known byte by byte, on each implementation of the suite.
 * `vectors.json` was made with this folder's code when that passed the vectors of cacophony and of
 * snow; these have the same form, and files of them can be named as arguments.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Handshake } from "./handshake.ts";
import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { type PatternName, PATTERNS } from "./patterns.ts";
import { StaticKey } from "./static_key.ts";
import { type Suite, SUITE_NAME } from "./suite.ts";

/** One of the published form; every string but the name is in hexadecimal. */
interface Vector {
  protocol_name: string;
  init_prologue: string;
  init_static?: string;
  init_ephemeral: string;
  init_remote_static?: string;
  init_psks?: string[];
  resp_prologue: string;
  resp_static?: string;
  resp_ephemeral: string;
  resp_remote_static?: string;
  resp_psks?: string[];
  handshake_hash?: string;
  /** Those of the handshake, then of the conversation; the two ends take turns throughout. */
  messages: { payload: string; ciphertext: string }[];
}

const SUITES: [name: string, suite: Suite][] = [
  ["native", loadNativeSuite()!],
  ["noble", nobleSuite],
];
const EMPTY = new Uint8Array(0);
const test = suite("noise vectors");

for (const file of [new URL("vectors.json", import.meta.url), ...Deno.args]) {
  const { vectors }: { vectors: Vector[] } = JSON.parse(await Deno.readTextFile(file));
  const covered = new Set<PatternName>();
  for (const vector of vectors) {
    const pattern = patternOf(vector);
    if (!pattern) continue;
    covered.add(pattern);
    for (const [name, implementation] of SUITES) {
      test(`${vector.protocol_name} (${name})`, () => run(vector, pattern, implementation));
    }
  }
  const missing = Object.keys(PATTERNS).filter((name) => !covered.has(name as PatternName));
  test(`vectors for every pattern (${file.toString().split("/").at(-1)})`, () => {
    // The published files are of others, and may lack a pattern.
    if (file instanceof URL) assert.equal(missing, []);
    else console.log(`${covered.size} patterns; none for: ${missing.join(" ") || "-"}`);
  });
}

test.run();

/** The pattern's name; undefined where the vector is for another suite or pattern. */
function patternOf({ protocol_name, resp_ephemeral }: Vector): PatternName | undefined {
  const [, name, ...rest] = protocol_name.split("_");
  if (rest.join("_") !== SUITE_NAME || resp_ephemeral === undefined) return undefined;
  return name! in PATTERNS ? name as PatternName : undefined;
}

async function run(vector: Vector, pattern: PatternName, suite: Suite): Promise<void> {
  const initiator = new Handshake({
    pattern,
    initiator: true,
    suite,
    prologue: Uint8Array.fromHex(vector.init_prologue),
    staticKey: await keyOf(vector.init_static, suite),
    remoteStatic: optional(vector.init_remote_static),
    psk: optional(vector.init_psks?.[0]),
    ephemeral: Uint8Array.fromHex(vector.init_ephemeral),
  });
  const responder = new Handshake({
    pattern,
    initiator: false,
    suite,
    prologue: Uint8Array.fromHex(vector.resp_prologue),
    staticKey: await keyOf(vector.resp_static, suite),
    remoteStatic: optional(vector.resp_remote_static),
    psk: optional(vector.resp_psks?.[0]),
    ephemeral: Uint8Array.fromHex(vector.resp_ephemeral),
  });
  let ends = [initiator, responder] as const;
  const length = PATTERNS[pattern].messages.length;
  assert.ok(vector.messages.length >= length);
  for (const { payload, ciphertext } of vector.messages.slice(0, length)) {
    const [writer, reader] = ends;
    assert.is((await writer.writeMessage(Uint8Array.fromHex(payload))).toHex(), ciphertext);
    assert.is((await reader.readMessage(Uint8Array.fromHex(ciphertext))).toHex(), payload);
    ends = [reader, writer];
  }
  assert.is(initiator.handshakeHash.toHex(), responder.handshakeHash.toHex());
  if (vector.handshake_hash) assert.is(initiator.handshakeHash.toHex(), vector.handshake_hash);
  const transports = [initiator.split(), responder.split()];
  assert.is(transports[0]!.exported.toHex(), transports[1]!.exported.toHex());
  for (const [index, { payload, ciphertext }] of vector.messages.entries()) {
    if (index < length) continue;
    const { send } = transports[index % 2]!;
    const { receive } = transports[1 - index % 2]!;
    const sealed = new Uint8Array(ciphertext.length / 2);
    send.seal(EMPTY, [Uint8Array.fromHex(payload)], sealed, 0);
    assert.is(sealed.toHex(), ciphertext);
    assert.is(receive.open(EMPTY, Uint8Array.fromHex(ciphertext)).toHex(), payload);
  }
}

async function keyOf(privateKey: string | undefined, suite: Suite): Promise<StaticKey | undefined> {
  return privateKey ? await StaticKey.import(Uint8Array.fromHex(privateKey), suite) : undefined;
}

function optional(text: string | undefined): Uint8Array | undefined {
  return text ? Uint8Array.fromHex(text) : undefined;
}
