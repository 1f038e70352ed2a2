/** The handshake of a channel: altered messages, and authentic ones that say what nobody says. */

import { base64url } from "jose";
import { initiate, respond, type Subject } from "../../../core/channel/handshake.ts";
import { Handshake } from "../../../core/noise/handshake.ts";
import { nobleAesGcm } from "../../ciphers.ts";
import { bytes } from "../../text.ts";
import { attempt, must, same } from "../expect.ts";
import { deviceKey, operatorKey } from "../fleet_keys.ts";
import { mutateJson, mutateText } from "../mutate_text.ts";
import { fromText, type Target, toText } from "../target.ts";

/** A proof of a channel's secret, which is good for as long as nobody has attached since. */
const PROOF = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
const EPOCH = "AAECAwQFBgcICQoLDA0ODw";
const SUBJECT: Subject = { device: "x", port: 22, protocol: "tcp", epoch: EPOCH };
const PROLOGUE = bytes(`tunnel channel 1\nx\n${EPOCH}\ntcp\n\n22`);

const HELLOS = [
  { credential: "a.b.c" },
  { credential: "a.b.c", ciphers: ["AESGCM"] },
  { credential: "a.b.c", resume: { id: EPOCH, attempt: 1, received: 0, proof: PROOF } },
];
const identity = { credential: "a.b.c", key: deviceKey };
const deviceX = base64url.encode(deviceKey.publicKey);

/** The first message as a service makes it, with this payload. */
async function hello(payload: string): Promise<string> {
  const handshake = new Handshake({
    pattern: "IK",
    initiator: true,
    prologue: PROLOGUE,
    staticKey: operatorKey,
    remoteStatic: deviceKey.publicKey,
    ephemeral: new Uint8Array(32).fill(96),
  });
  return base64url.encode(await handshake.writeMessage(bytes(payload)));
}

const authentic = await Promise.all(HELLOS.map((each) => hello(JSON.stringify(each))));

const altered: Target = {
  name: "hello",
  iterations: 500,
  make: (random) => fromText(mutateText(random.pick(authentic), random, authentic)),
  async check(input) {
    const text = toText(input);
    const result = await attempt(() => respond(identity, SUBJECT, text), ["protocol"]);
    must("value" in result, "what cannot be opened is answered, not an error");
    const opened = result.value !== undefined;
    must(opened === authentic.some((message) => isSame(message, text)), `opened: ${opened}`);
  },
};

const said: Target = {
  name: "hello:payload",
  iterations: 300,
  make: (random) => fromText(mutateJson(random.pick(HELLOS), random)),
  async check(input) {
    // Longer ones do not fit into a message of a handshake.
    const message = await hello(toText(input).slice(0, 20_000));
    const work = () => respond(identity, SUBJECT, message);
    const result = await attempt(work, ["protocol"], [PROOF]);
    if ("error" in result) return;
    const response = result.value!;
    same(response.remoteKey, base64url.encode(operatorKey.publicKey), "the key");
    same(await response.proves(new Uint8Array(32)), false, "a proof of another secret");
    await response.accept(0);
  },
};

/** A device whose ephemeral key is always the same, and what it answers to a hello. */
async function answer(message: string, payload: string): Promise<string> {
  const handshake = new Handshake({
    pattern: "IK",
    initiator: false,
    prologue: PROLOGUE,
    staticKey: deviceKey,
    ephemeral: new Uint8Array(32).fill(128),
  });
  await handshake.readMessage(base64url.decode(message));
  return base64url.encode(await handshake.writeMessage(bytes(payload)));
}

/** The input is a payload; its length says whether the message is altered too, and where. */
const answered: Target = {
  name: "hello:answer",
  iterations: 300,
  make: (random) => fromText(mutateJson({ received: random.below(9), cipher: "AESGCM" }, random)),
  async check(input) {
    const payload = toText(input).slice(0, 20_000);
    const operator = { credential: "a.b.c", key: operatorKey, aesGcm: nobleAesGcm };
    const initiation = await initiate(operator, deviceX, SUBJECT);
    const message = await answer(initiation.hello, payload);
    const at = input.length * 7;
    const harmed = at < message.length
      ? message.slice(0, at) + (message[at] === "A" ? "B" : "A") + message.slice(at + 1)
      : message + "A".repeat(at % 3);
    const spoilt = !isSame(harmed, message);
    const result = await attempt(() => initiation.finish(harmed), ["protocol", "refused"]);
    if ("error" in result) return;
    must(!spoilt, "an altered answer was taken");
    same(
      result.value.received,
      JSON.parse(payload.replace(/^\ufeff/, "")).received,
      "the position",
    );
  },
};

/** Whether two texts are the same bytes: there is more than one way to write some in base64. */
function isSame(a: string, b: string): boolean {
  try {
    return a === base64url.encode(base64url.decode(b));
  } catch {
    // It is no base64 at all.
    return false;
  }
}

export const handshakes: Target[] = [altered, said, answered];
