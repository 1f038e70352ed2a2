/** A member (device and operator in one) whose relay says anything. */

import { base64url } from "jose";
import * as v from "valibot";
import { concat } from "../../../core/bytes.ts";
import { Challenge, Reply, SignedIn } from "../../../core/control.ts";
import { Device } from "../../../core/device.ts";
import { Dialer } from "../../../core/dialer.ts";
import { TunnelError } from "../../../core/errors.ts";
import { importPrivateKey } from "../../../core/identity/keys.ts";
import type { Link } from "../../../core/link.ts";
import { newInstance, signIn } from "../../../core/sign_in.ts";
import { SILENT } from "../../../core/log.ts";
import { encodeMessage, MAX_GREETING, MAX_MESSAGE } from "../../../core/message.ts";
import type { Stream } from "../../../core/transport.ts";
import { memoryPair, type MemorySession } from "../../../transports/memory.ts";
import { echoTarget } from "../../fleet.ts";
import { Leftovers } from "../../leftovers.ts";
import { Random } from "../../random.ts";
import { bytes as utf8 } from "../../text.ts";
import { nextMessage } from "../control_model.ts";
import { must, same } from "../expect.ts";
import { turn, until } from "../turns.ts";
import {
  AUTHORITY,
  CLAIMS,
  deviceKey,
  HOLDER,
  operatorKey,
  signed,
  verifier,
} from "../fleet_keys.ts";
import { mutateJson } from "../mutate_text.ts";
import { Tape, type Target } from "../target.ts";

/** Decisions of a script at most. */
const MAX_STEPS = 40;

const HEADER = '{"alg":"EdDSA","typ":"tunnel-credential+jwt"}';
const forever = { ...CLAIMS, exp: 8.64e12 };
const operatorToken = await signed(AUTHORITY, HEADER, JSON.stringify(forever));
const deviceToken = await signed(
  AUTHORITY,
  HEADER,
  JSON.stringify({
    ...forever,
    sub: "device:x",
    kex: { ...CLAIMS.kex, x: base64url.encode(deviceKey.publicKey) },
  }),
);
const privateKey = await importPrivateKey(HOLDER);

const nonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const EPOCH = "A".repeat(22);
const CHALLENGE = { type: "challenge", versions: [1], nonce, agent: "fuzz" };
const WELCOME = { type: "welcome", principal: { role: "operator", name: "night" } };
const REFUSED = { type: "refused", code: "offline", state: "no" };
const INFO = { id: "x", online: true, since: 1 };

export const controlLink: Target = {
  name: "control:link",
  iterations: 150,
  make: (random) => random.bytes(random.below(160)),
  async check(input) {
    using leftovers = new Leftovers();
    const script = new Script(new Tape(input));
    await script.run();
    await until(() => leftovers.timers === 0, () => `${leftovers.timers} timers are left`);
  },
};

class Script {
  readonly #tape: Tape;
  readonly #near: MemorySession;
  readonly #far: MemorySession;
  readonly #said: Uint8Array[] = [];
  readonly #pending: Promise<unknown>[] = [];
  readonly #device = new Device({
    id: "x",
    identity: { credential: deviceToken, key: deviceKey },
    verifier,
    allow: [{ port: 7 }],
    connect: echoTarget,
    log: SILENT,
  });
  #writer!: WritableStreamDefaultWriter<Uint8Array>;
  #link?: Link;
  #waiting = 0;
  /** The code that the session was closed with. */
  #left?: number;
  #signIn = "waiting";
  /** The session has been ended by the script. */
  #over = false;
  #ended = false;
  /** Streams that the member has opened and nobody has answered. */
  readonly #dialled: Stream[] = [];
  readonly #offers: { due: boolean; heard: boolean }[] = [];

  constructor(tape: Tape) {
    this.#tape = tape;
    [this.#near, this.#far] = memoryPair();
    this.#far.closed.then(({ code }) => this.#left = code, () => {}); // A loss is the script's own.
  }

  async run(): Promise<void> {
    const signingIn = signIn(this.#near, {
      claim: { credential: operatorToken, privateKey },
      audience: "relay:443",
      instance: newInstance(),
      agent: "fuzz",
      epoch: this.#device.epoch,
    });
    this.#wait(signingIn.then((link) => this.#enter(link), (error) => {
      this.#signIn = error.code;
      throw error;
    }));
    this.#wait(this.#collect());
    const control = await this.#far.openStream();
    this.#writer = control.writable.getWriter();
    this.#writer.closed.catch(() => {}); // Seen by the writes that meet it.
    const listening = this.#drain(control);
    for (let step = 0; step < MAX_STEPS && !this.#tape.ended; step++) {
      this.#step();
      // Keys are worked on beside the event loop: what comes next must not depend on how long.
      if (!this.#tape.chance(4)) await this.#sync();
      await turn();
    }
    await this.#settle();
    this.#leave();
    await listening;
    // By what the end of the session sets off, and not by a deadline.
    await until(() => this.#waiting === 0, () => `${this.#waiting} calls still wait`);
    await Promise.all(this.#pending);
    await this.#device.close();
    if (this.#link) await this.#link.closed.catch(() => {}); // It was lost, or closed for good.
  }

  #enter(link: Link): void {
    this.#link = link;
    this.#signIn = "in";
    this.#wait(this.#device.serve(link));
  }

  #step(): void {
    const tape = this.#tape;
    const kind = tape.byte() % 20;
    if (kind < 4) this.#say(this.#said.length === 0 ? CHALLENGE : WELCOME);
    else if (kind < 8) this.#say(this.#reply());
    else if (kind === 8) this.#sayAltered(tape.pick([CHALLENGE, WELCOME, REFUSED, this.#reply()]));
    else if (kind < 13) this.#ask(tape.byte() % 5);
    else if (kind < 15) this.#offer(tape.byte() % 5);
    else if (kind < 18) this.#answer(tape.byte() % 5);
    else if (kind === 18 && tape.chance(6)) this.#end();
    else if (kind === 19 && tape.chance(6)) this.#leave();
  }

  #reply(): object {
    const id = this.#tape.below(8);
    return this.#tape.pick([
      { type: "pong", id },
      { type: "device", id, device: INFO },
      { type: "peer", id, credential: deviceToken, epoch: EPOCH },
      { type: "peer", id, credential: operatorToken, epoch: EPOCH },
      { type: "devices", id, devices: [INFO], more: true },
      { type: "devices", id, devices: [], more: false },
      { ...REFUSED, id },
    ]);
  }

  /** What the member's application asks of its link. */
  #ask(kind: number): void {
    const link = this.#link;
    if (!link) return;
    if (kind === 0) this.#wait(link.ping());
    else if (kind === 1) {
      this.#wait(link.device("x").then((device) => same(device, INFO, "a device")));
    } else if (kind === 2) this.#wait(link.devices());
    else if (kind === 3) this.#wait(link.peer("x"));
    else {
      const identity = { credential: operatorToken, key: operatorKey };
      const links = { link: () => Promise.resolve(link) };
      const dialer = new Dialer({ links, identity, verifier, resumeWindow: 0 });
      const dialling = dialer.dial("x", { port: 7 }).then(() => {
        throw new Error("a relay has answered in place of a device");
      });
      this.#wait(dialling.finally(() => dialer.close()));
    }
  }

  /** A stream to the device, with an offer or something else. */
  #offer(kind: number): void {
    const offer = {
      type: "offer",
      operator: "night",
      port: 7,
      protocol: "tcp",
      epoch: kind === 0 ? this.#device.epoch : EPOCH,
      hello: this.#tape.pick(["AAAA", "A".repeat(200), "A".repeat(5)]),
    };
    const message = kind < 2
      ? encodeMessage(offer)
      : kind === 2
      ? encodeMessage(REFUSED)
      : kind === 3
      ? this.#altered(offer)
      : Uint8Array.of(0);
    const note = { due: kind < 3, heard: false };
    this.#offers.push(note);
    this.#wait(
      this.#far.openStream().then(async (stream) => {
        const writer = stream.writable.getWriter();
        const written = writer.write(message);
        const { value, done } = await stream.readable.getReader().read();
        note.heard = true;
        must(!done && value.length > 4, "an offer is answered by a message");
        await written;
      }),
    );
  }

  /** An answer to a dial of the member's. */
  #answer(kind: number): void {
    const stream = this.#dialled.shift();
    if (!stream) return;
    const answer = this.#tape.pick<object>([
      { type: "accepted", hello: this.#tape.pick(["AAAA", "A".repeat(90), "A".repeat(5)]) },
      { type: "stale", credential: deviceToken, epoch: this.#tape.pick([EPOCH, "B".repeat(22)]) },
      { type: "stale", credential: operatorToken, epoch: EPOCH },
      REFUSED,
    ]);
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {}); // Seen by the writes that meet it.
    const ignored = () => {}; // The member may have left the stream.
    if (kind === 4) return void writer.abort().catch(ignored);
    writer.write(kind === 3 ? this.#altered(answer) : encodeMessage(answer)).catch(ignored);
  }

  async #collect(): Promise<void> {
    for await (const stream of this.#far.incoming) this.#dialled.push(stream);
  }

  /** The member says what a member says; it is not looked at. */
  async #drain({ readable }: Stream): Promise<void> {
    try {
      for await (const _ of readable);
    } catch {
      // The session is over, which is looked at where it matters.
    }
  }

  #say(message: object): void {
    this.#write(encodeMessage(message));
  }

  #sayAltered(message: object): void {
    this.#write(this.#altered(message));
  }

  #write(bytes: Uint8Array): void {
    if (this.#ended || this.#over) return;
    this.#said.push(bytes);
    this.#writer.write(bytes).catch(() => {}); // The member may have left.
  }

  #altered(message: object): Uint8Array {
    const json = utf8(mutateJson(message, new Random(this.#tape.below(65_536))));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, json.length);
    return concat([length, json]);
  }

  #end(): void {
    this.#ended = true;
    this.#writer.close().catch(() => {}); // As above.
  }

  /** Ends the session: in order by some code, or not. */
  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#tape.chance(2)) this.#far.lose();
    else this.#far.close({ code: this.#tape.below(9), reason: "enough" });
  }

  /** The sign-in is as far as what was said takes it. */
  async #sync(): Promise<void> {
    if (this.#over) return;
    const { signIn } = this.#expected();
    await until(() => this.#signIn === signIn, () => `sign-in: ${this.#signIn}, not ${signIn}`);
  }

  /** What was said decides how the sign-in ends, and whether the member stays. */
  async #settle(): Promise<void> {
    if (this.#over) return;
    const { signIn, violated } = this.#expected();
    await this.#sync();
    if (violated) {
      await until(() => this.#left !== undefined, "the member stays with such a relay");
      return same(this.#left, 4, "the code by which a member leaves such a relay");
    }
    if (signIn !== "in") return;
    const due = () => this.#offers.filter(({ due, heard }) => due && !heard).length;
    await until(() => due() === 0, () => `${due()} offers are not answered`);
  }

  #expected(): { signIn: string; violated?: boolean } {
    const bytes = concat(this.#said);
    let at = 0;
    const next = <S extends v.GenericSchema>(schema: S, limit: number) => {
      const taken = nextMessage(bytes, at, limit);
      if (taken === "incomplete") return this.#ended ? "end" : "waiting";
      if (taken === "violation") return "protocol";
      at = taken.end;
      const result = v.safeParse(schema, taken.value);
      return result.success ? { message: result.output } : "protocol";
    };
    const challenge = next(Challenge, MAX_GREETING);
    if (typeof challenge === "string") return { signIn: challenge === "end" ? "reset" : challenge };
    // A nonce has bits to spare in its last character, which are 0.
    const isNonce = /[AEIMQUYcgkosw048]$/.test(challenge.message.nonce);
    if (!challenge.message.versions.includes(1) || !isNonce) return { signIn: "protocol" };
    const answer = next(SignedIn, MAX_GREETING);
    if (typeof answer === "string") return { signIn: answer === "end" ? "reset" : answer };
    if (answer.message.type === "refused") return { signIn: answer.message.code };
    for (;;) {
      const reply = next(Reply, MAX_MESSAGE);
      if (typeof reply === "string") return { signIn: "in", violated: reply === "protocol" };
    }
  }

  /** Work of the member's: it may fail, with an error of ours, and must not wait for ever. */
  #wait(work: Promise<unknown>): void {
    this.#waiting++;
    this.#pending.push(
      work.catch((error) => {
        if (!(error instanceof TunnelError)) throw error;
      }).finally(() => this.#waiting--),
    );
  }
}
