/** A relay and a client that says anything, beside two members that are to notice nothing of it. */

import { concat } from "../../../core/bytes.ts";
import { Challenge } from "../../../core/control.ts";
import { hashSecret } from "../../../core/identity/join.ts";
import { exportPublicKey, generateKeyPair } from "../../../core/identity/keys.ts";
import { generateAgreementKey, parseAgreementJwk } from "../../../core/identity/keys.ts";
import { joinSubject, makeProof } from "../../../core/identity/proof.ts";
import { decodeMessage, encodeMessage } from "../../../core/message.ts";
import type { Session, Stream } from "../../../core/transport.ts";
import { type Fleet, startFleet } from "../../fleet.ts";
import { Leftovers } from "../../leftovers.ts";
import { Random } from "../../random.ts";
import { bytes as utf8, text } from "../../text.ts";
import { expected, inShort, JOINER, type Keys } from "../control_model.ts";
import { must, same } from "../expect.ts";
import { turn, until } from "../turns.ts";
import { mutateJson } from "../mutate_text.ts";
import { Tape, type Target } from "../target.ts";
import { EVERYTHING } from "../../../core/policy/grant.ts";
import { CloseCode } from "../../../core/transport.ts";

/** Decisions of a script at most. */
/** Bytes of a message before the sign-in: more than one may have, less than a relay takes in all. */
const MOST_BEFORE = 12_000;
const MAX_STEPS = 40;
const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
const AUDIENCE = "relay:443";

export const controlRelay: Target = {
  name: "control:relay",
  iterations: 120,
  make: (random) => random.bytes(random.below(120)),
  async check(input) {
    using leftovers = new Leftovers();
    await using fleet = await startFleet();
    const sighting = { at: 1, transport: "memory", remote: { hostname: "off", port: 1 } };
    await fleet.store.devicesSeen([["off", sighting]]);
    await fleet.device("x");
    const operator = await fleet.operator();
    const channel = await fleet.dial(operator, "x", { port: 7 });
    const isHeard = async () => {
      await channel.write(utf8("hello"));
      same(text(await channel.read()), "hello", "what the neighbours say to each other");
      must(await operator.ping() >= 0, "a neighbour's ping");
    };
    await isHeard();
    await turn();
    const before = [leftovers.timers, leftovers.listeners, fleet.transport.sessions.size];
    const script = await Script.start(fleet, new Tape(input));
    await script.run();
    await until(() => fleet.relay.sessions === 2, "the relay keeps the session");
    const now = () => [leftovers.timers, leftovers.listeners, fleet.transport.sessions.size];
    await until(() => now().every((count, i) => count <= before[i]!), () => {
      return `timers, listeners and sessions: ${before} before, ${now()} after`;
    });
    await isHeard();
  },
};

class Script {
  readonly #tape: Tape;
  readonly #session: Session;
  readonly #control: Stream;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #keys: Keys;
  readonly #samples: readonly object[];
  /** Everything that was said on the control stream. */
  readonly #said: Uint8Array[] = [];
  readonly #heard: string[] = [];
  readonly #dials: { expected: string; heard: string }[] = [];
  #ended = false;
  /** The script itself has made it unclear what comes. */
  #broken = false;
  /** A stream was opened before the sign-in, which the relay ends the session for. */
  #early = false;

  private constructor(tape: Tape, session: Session, control: Stream, keys: Keys, nonce: string) {
    this.#tape = tape;
    this.#session = session;
    this.#control = control;
    this.#writer = control.writable.getWriter();
    this.#writer.closed.catch(() => {}); // Seen by the writes that meet it.
    this.#keys = keys;
    const greeting = { version: 1, agent: "fuzz", instance: "12345678", nonce };
    this.#samples = [
      { type: "auth", ...greeting, ...keys.auth },
      { type: "join", ...greeting, ...keys.join },
      { type: "auth", ...greeting, ...keys.auth, version: 2 },
      { type: "ping", id: 1 },
      { type: "ping", id: 2, roundTrip: 1.5 },
      { type: "watch", id: 9 },
      { type: "unwatch", id: 10 },
      { type: "device", id: 1, device: "x" },
      { type: "device", id: 2, device: "off" },
      { type: "peer", id: 2, device: "x" },
      { type: "peer", id: 3, device: "nobody" },
      { type: "devices", id: 3, after: "a" },
      { type: "change", id: 4, change: { type: "revoke-member", role: "device", name: "x" } },
      { type: "grants", id: 5, operator: "mallory" },
      { type: "operators", id: 6, after: "a" },
      { type: "audit", id: 7, after: 1, device: "x", limit: 5 },
      { type: "audit-check", id: 8 },
    ];
  }

  /** A session that has its challenge, and what it takes to answer it. */
  static async start(fleet: Fleet, tape: Tape): Promise<Script> {
    const [role, name] = [tape.chance(3) ? "device" : "operator", "mallory"] as const;
    const session = await fleet.connector.connect(fleet.url);
    const control = (await session.incoming.next()).value!;
    const reader = control.readable.getReader();
    const first = (await reader.read()).value!;
    reader.releaseLock();
    const { nonce } = decodeMessage(first.subarray(4), Challenge, "fuzz");
    const { credential, privateKey } = await fleet.claim(role, name) as {
      credential: string;
      privateKey: CryptoKey;
    };
    const proof = { privateKey, nonce, audience: AUDIENCE };
    const pair = await generateKeyPair();
    const key = await exportPublicKey(pair.publicKey);
    const agreement = parseAgreementJwk(await generateAgreementKey());
    const at = Date.now();
    const invite = { type: "invite", role: "operator", name: JOINER, uses: 1 } as const;
    const secretHash = await hashSecret(SECRET);
    const grants = [{ scope: EVERYTHING }];
    const change = { ...invite, expiresAt: at + 60_000, secretHash, grants };
    await fleet.store.apply(change, { by: "local:test", at });
    const subject = joinSubject(SECRET, agreement);
    const keys: Keys = {
      role,
      name,
      auth: { credential, proof: await makeProof({ ...proof, subject: credential }) },
      join: {
        secret: SECRET,
        proof: await makeProof({ ...proof, privateKey: pair.privateKey, subject }),
        key,
        agreement,
      },
    };
    return new Script(tape, session, control, keys, nonce);
  }

  async run(): Promise<void> {
    const listening = this.#listen();
    for (let step = 0; step < MAX_STEPS && !this.#tape.ended; step++) {
      await this.#step();
      // Keys are worked on beside the event loop: what comes next must not depend on how long.
      if (!this.#broken && !this.#tape.chance(4)) await this.#sync();
    }
    if (this.#early) same((await this.#session.closed).code, CloseCode.protocol, "the close");
    else if (!this.#broken) await this.#settle();
    if (this.#tape.chance(2)) (this.#session as Session & { lose(): void }).lose();
    else this.#session.close();
    await listening;
    const wanted = this.#expected.replies;
    same(this.#heard, wanted.slice(0, this.#heard.length), "what the relay has said");
  }

  get #expected() {
    return expected(concat(this.#said), this.#ended, this.#keys);
  }

  async #step(): Promise<void> {
    const tape = this.#tape;
    const kind = tape.byte() % 16;
    if (kind < 3) this.#say(encodeMessage(this.#samples[tape.chance(4) ? 1 : 0]));
    else if (kind < 8) this.#say(encodeMessage(tape.pick(this.#samples)));
    else if (kind < 10) this.#say(this.#altered());
    else if (kind === 10 && tape.chance(4)) this.#say(this.#random().bytes(tape.below(40)));
    else if (kind < 14) await this.#dial(tape.byte() % 8);
    else if (kind === 14 && tape.chance(4)) this.#end();
    else if (kind === 15 && tape.chance(8)) this.#break();
  }

  /** Every reply that is due comes. */
  async #sync(): Promise<void> {
    const { replies } = this.#expected;
    await until(() => this.#heard.length >= replies.length, () => {
      return `${this.#heard.join(", ")} came of ${replies.join(", ")}`;
    });
  }

  /** What is due comes: replies, answers to dials, the end of the session. */
  async #settle(): Promise<void> {
    const { signedIn, close } = this.#expected;
    await this.#sync();
    if (close !== undefined) {
      // Whoever is refused leaves, and the relay waits for that.
      if (!signedIn) this.#session.close();
      const info = await this.#session.closed;
      if (signedIn) same(info.code, close, "the code of the close");
      return;
    }
    if (signedIn) {
      for (const dial of this.#dials) {
        if (dial.expected === "") continue;
        await until(() => dial.heard !== "", () => `no answer came of ${dial.expected}`);
        const isDevice = this.#keys.role === "device" && !this.#hasJoined;
        // A device is not asked what it wants.
        same(dial.heard, isDevice ? "refused refused" : dial.expected, "the answer to a dial");
      }
    }
  }

  get #hasJoined(): boolean {
    return concat(this.#said).length > 0 && text(this.#said[0]!.subarray(4)).includes('"join"');
  }

  #say(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#said.push(bytes);
    // The relay may have closed the session: then nobody hears it.
    this.#writer.write(bytes).catch(() => {});
  }

  #altered(): Uint8Array {
    const whole = utf8(mutateJson(this.#tape.pick(this.#samples), this.#random()));
    // Who floods the relay before its sign-in is cut off, and may not hear a word.
    const json = this.#expected.signedIn ? whole : whole.subarray(0, MOST_BEFORE);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, json.length);
    return concat([length, json]);
  }

  #random(): Random {
    return new Random(this.#tape.below(65_536));
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#writer.close().catch(() => {}); // As above.
  }

  /** Gives up one direction of the control stream, at once. */
  #break(): void {
    this.#broken = true;
    if (this.#tape.chance(2)) this.#writer.abort().catch(() => {}); // As above.
    else this.#control.readable.cancel().catch(() => {}); // It may be read from at the moment.
    this.#ended = true;
  }

  /** Notes what the control stream carries, until it ends. */
  async #listen(): Promise<void> {
    const { readable } = this.#control;
    let rest: Uint8Array = new Uint8Array(0);
    try {
      for await (const chunk of readable) {
        rest = concat([rest, chunk]);
        while (rest.length >= 4) {
          const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0);
          if (rest.length < 4 + length) break;
          const said = inShort(JSON.parse(text(rest.subarray(4, 4 + length))));
          // Told of itself, once a second, to who watches.
          if (!said.startsWith("presence ")) this.#heard.push(said);
          rest = rest.subarray(4 + length);
        }
      }
    } catch {
      // The session is over, which is looked at where it matters.
    }
  }

  /** A stream of the client's own, whenever it comes. */
  async #dial(kind: number): Promise<void> {
    // Whether it comes before the sign-in is for the script to say.
    if (!this.#broken) await this.#sync();
    const { signedIn, close } = this.#expected;
    if (!this.#broken && !signedIn && close === undefined) this.#early = this.#broken = true;
    const opened = this.#session.openStream().catch(() => undefined); // The session may be over.
    const stream = await Promise.race([opened, turn().then(turn)]);
    if (!stream) return;
    const note = { expected: "", heard: "" };
    this.#dials.push(note);
    const rest = { port: 7, protocol: "tcp", epoch: "A".repeat(22), hello: "AAAA" };
    const dials: [unknown, string][] = [
      [{ type: "dial", device: "x", ...rest }, "stale"],
      [{ type: "dial", device: "off", ...rest }, "refused offline"],
      [{ type: "dial", device: "nobody", ...rest }, "refused unknown"],
      [{ type: "dial", device: "off", ...rest, resume: true }, ""],
      [{ type: "dial", device: "X", ...rest }, "refused protocol"],
      [{ type: "ping", id: 1 }, "refused protocol"],
    ];
    const [message, answer] = dials[kind] ?? [undefined, ""];
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {}); // Seen by the writes that meet it.
    if (message) {
      note.expected = answer;
      writer.write(encodeMessage(message)).catch(() => {}); // The relay may refuse the stream.
    } else if (kind === 6) {
      writer.abort().catch(() => {}); // As above.
    } else {
      writer.write(Uint8Array.of(0, 0)).catch(() => {}); // As above.
    }
    this.#noteAnswer(stream, note);
  }

  async #noteAnswer(stream: Stream, note: { heard: string }): Promise<void> {
    try {
      const { value, done } = await stream.readable.getReader().read();
      note.heard = done ? "nothing" : inShort(JSON.parse(text(value.subarray(4))));
    } catch {
      // A stream that is reset says nothing.
      note.heard = "nothing";
    }
  }
}
