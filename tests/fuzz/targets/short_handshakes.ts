/** The short handshake: altered messages of either end, and authentic ones that say anything. */

import { base64url } from "jose";
import { concat } from "../../../core/bytes.ts";
import type { Subject } from "../../../core/channel/handshake.ts";
import { initiateShort, respondShort } from "../../../core/channel/short_handshake.ts";
import { TakenTickets } from "../../../core/channel/tickets.ts";
import { CipherState } from "../../../core/noise/cipher_state.ts";
import { platformSuite } from "../../../core/noise/platform_suite.ts";
import { bytes } from "../../text.ts";
import { attempt, must, same } from "../expect.ts";
import { mutateJson, mutateText } from "../mutate_text.ts";
import { fromText, type Target, toText } from "../target.ts";

const EPOCH = "AAECAwQFBgcICQoLDA0ODw";
const SUBJECT: Subject = { device: "x", port: 22, protocol: "tcp", epoch: EPOCH };
const PROLOGUE = bytes(`tunnel channel 1\nx\n${EPOCH}\ntcp\n\n22`);
const TICKET = { id: EPOCH, key: new Uint8Array(32).fill(7) };
const HOLDER = { credential: "a.b.c", remoteKey: "k".repeat(43), ownCredential: "d.e.f" };
const REASON = "ticket 4711";

/** A table of its own for each: a timer would outlast the input. */
function respond(text: string) {
  const tickets = new TakenTickets();
  tickets.add(TICKET, HOLDER);
  try {
    return respondShort(tickets, HOLDER.ownCredential, SUBJECT, text);
  } finally {
    tickets.close();
  }
}

const authentic = [0, 1, 2 ** 32 - 1].map((number) =>
  initiateShort(TICKET, number, SUBJECT, { reason: REASON }).hello
);

const altered: Target = {
  name: "hello:short",
  iterations: 500,
  make: (random) => fromText(mutateText(random.pick(authentic), random, authentic)),
  async check(input) {
    const text = toText(input);
    // deno-lint-ignore require-await -- what it throws is looked at as a rejection
    const result = await attempt(async () => respond(text), ["protocol"]);
    const isWhole = authentic.some((message) => isSame(message, text));
    if ("error" in result) return must(!isWhole, "an authentic one was an error");
    must((result.value !== undefined) === isWhole, `opened: ${result.value !== undefined}`);
  },
};

const said: Target = {
  name: "hello:short:payload",
  iterations: 300,
  make: (random) => fromText(mutateJson({ reason: REASON, ciphers: ["AESGCM"] }, random)),
  async check(input) {
    const head = concat([base64url.decode(TICKET.id), new Uint8Array(4)]);
    const key = platformSuite().hkdf(TICKET.key, concat([head, PROLOGUE]), 2).slice(0, 32);
    const payload = bytes(toText(input).slice(0, 4_000));
    const sealed = new Uint8Array(payload.length + 16);
    new CipherState(key).seal(new Uint8Array(0), [payload], sealed, 0);
    const message = base64url.encode(concat([head, sealed]));
    // deno-lint-ignore require-await -- what it throws is looked at as a rejection
    const result = await attempt(async () => respond(message), ["protocol"]);
    if ("error" in result) return;
    const response = result.value!;
    same(response.remoteKey, HOLDER.remoteKey, "the key");
    same(await response.proves(new Uint8Array(32)), false, "a proof of a secret");
    await response.accept(0);
  },
};

const answered: Target = {
  name: "hello:short:answer",
  iterations: 300,
  make: (random) => fromText(mutateText(ANSWER, random, [ANSWER])),
  async check(input) {
    const initiation = initiateShort(TICKET, 0, SUBJECT);
    const { hello } = await respond(initiation.hello)!.accept(0);
    // The input tells where the answer of this very run is altered.
    const text = toText(input);
    const harmed = text === ANSWER ? hello : transplant(hello, text);
    const result = await attempt(() => initiation.finish(harmed), ["protocol", "refused"]);
    must("error" in result || isSame(harmed, hello), "an altered answer was taken");
  },
};

/** What a device might answer; only its form matters. */
const ANSWER = base64url.encode(new Uint8Array(32 + 14 + 16).fill(9));

/** `hello` with the characters of `text` where that differs from {@linkcode ANSWER}, and its length. */
function transplant(hello: string, text: string): string {
  const characters = [...text].map((character, i) =>
    character === ANSWER[i] ? hello[i] : character
  );
  return characters.join("");
}

/** Whether two texts are the same bytes: there is more than one way to write some in base64. */
function isSame(a: string, b: string): boolean {
  try {
    return base64url.encode(base64url.decode(a)) === base64url.encode(base64url.decode(b));
  } catch {
    // It is no base64 at all.
    return false;
  }
}

export const shortHandshakes: Target[] = [altered, said, answered];
