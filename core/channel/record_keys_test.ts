/** The cipher of long records, through both handshakes. */

import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nobleAesGcm } from "../../tests/ciphers.ts";
import { failureOf } from "../../tests/failure.ts";
import { bytes } from "../../tests/text.ts";
import { generateAgreementKey } from "../identity/keys.ts";
import { Handshake } from "../noise/handshake.ts";
import { StaticKey } from "../noise/static_key.ts";
import { type Cipher, TAG_LENGTH } from "../noise/suite.ts";
import {
  type ChannelIdentity,
  type Established,
  initiate,
  type Initiation,
  respond,
  type Response,
  type Subject,
} from "./handshake.ts";
import { prologueOf } from "./hello.ts";
import type { AesGcm } from "./record_keys.ts";
import { initiateShort, respondShort } from "./short_handshake.ts";
import { TakenTickets } from "./tickets.ts";

const test = suite("record keys");

const subject: Subject = { device: "x", port: 22, protocol: "tcp", epoch: "A".repeat(22) };
const [service, device] = await Promise.all(["s", "d"].map(newIdentity));
const TICKET = { id: "A".repeat(22), key: new Uint8Array(32).fill(7) };
const HOLDER = { credential: "s", remoteKey: "S".repeat(43), ownCredential: "d" };

/** The two handshakes, with what each end has. */
const handshakes: [name: string, begin: (ours: AesGcm, theirs: AesGcm) => Promise<Shaking>][] = [
  ["full", async (ours, theirs) => {
    const key = base64url.encode(device!.key.publicKey);
    const initiation = await initiate({ ...service!, aesGcm: ours }, key, subject);
    const response = await respond({ ...device!, aesGcm: theirs }, subject, initiation.hello);
    return { initiation, response: response! };
  }],
  ["short", (ours, theirs) => {
    const tickets = new TakenTickets();
    tickets.add(TICKET, HOLDER);
    const initiation = initiateShort(TICKET, 0, subject, {}, ours);
    const response = respondShort(tickets, "d", subject, initiation.hello, theirs);
    tickets.close();
    return Promise.resolve({ initiation, response: response! });
  }],
];

interface Shaking {
  readonly initiation: Initiation;
  readonly response: Response;
}

for (const [name, begin] of handshakes) {
  test(`${name}: long records go by AESGCM where both have it, at both ends`, async () => {
    const used = { ours: counting(), theirs: counting() };
    const { ours, theirs } = await finish(await begin(used.ours.cipher, used.theirs.cipher));
    for (const [from, to] of [[ours, theirs], [theirs, ours]] as const) {
      for (const length of [10, 1_520, 1_521, 100_000, 10]) exchange(from, to, length);
    }
    const each = { sealed: 2, opened: 2 };
    assert.equal([used.ours.counts, used.theirs.counts], [each, each]);
  });

  for (
    const [which, ours, theirs] of [
      ["the service", undefined, nobleAesGcm],
      ["the device", nobleAesGcm, undefined],
    ] as const
  ) {
    test(`${name}: where ${which} has none, they go by ChaChaPoly`, async () => {
      // Null is what says so: undefined is whatever the platform has.
      const made = await finish(await begin(ours ?? null, theirs ?? null));
      exchange(made.ours, made.theirs, 100_000);
      exchange(made.theirs, made.ours, 100_000);
    });
  }

  test(`${name}: its keys are of neither direction, nor those of short records`, async () => {
    const keys: string[] = [];
    const cipher: Cipher = {
      ...nobleAesGcm,
      seal(key, ...rest) {
        keys.push(key.toHex());
        nobleAesGcm.seal(key, ...rest);
      },
    };
    for (let i = 0; i < 2; i++) {
      const { ours, theirs } = await finish(await begin(cipher, cipher));
      exchange(ours, theirs, 2_000);
      exchange(theirs, ours, 2_000);
      keys.push(ours.secret.toHex());
    }
    assert.is(new Set(keys).size, 6);
  });
}

test("a device that chooses what was not offered is refused", async () => {
  const key = base64url.encode(device!.key.publicKey);
  for (const [cipher, aesGcm] of [["AESGCM", null], ["AES", nobleAesGcm]] as const) {
    const made = await initiate({ ...service!, aesGcm }, key, subject);
    const handshake = new Handshake({
      pattern: "IK",
      initiator: false,
      prologue: prologueOf(subject),
      staticKey: device!.key,
    });
    await handshake.readMessage(base64url.decode(made.hello));
    const answer = await handshake.writeMessage(bytes(JSON.stringify({ received: 0, cipher })));
    assert.is((await failureOf(made.finish(base64url.encode(answer)))).code, "protocol");
  }
});

test("a device passes over ciphers that it does not know", async () => {
  const ciphers = ["AEGIS256", "AESGCM", "x".repeat(32)];
  for (const [aesGcm, cipher] of [[nobleAesGcm, "AESGCM"], [null, undefined]] as const) {
    const handshake = new Handshake({
      pattern: "IK",
      initiator: true,
      prologue: prologueOf(subject),
      staticKey: service!.key,
      remoteStatic: device!.key.publicKey,
    });
    const payload = bytes(JSON.stringify({ credential: "s", ciphers }));
    const hello = base64url.encode(await handshake.writeMessage(payload));
    const response = (await respond({ ...device!, aesGcm }, subject, hello))!;
    const answer = base64url.decode((await response.accept(0)).hello);
    const said = new TextDecoder().decode(await handshake.readMessage(answer));
    assert.equal(JSON.parse(said), cipher ? { received: 0, cipher } : { received: 0 });
  }
});

test.run();

async function finish({ initiation, response }: Shaking) {
  const { hello, established: theirs } = await response.accept(0);
  return { ours: await initiation.finish(hello), theirs };
}

function exchange(from: Established, to: Established, length: number): void {
  const message = new Uint8Array(length).fill(length % 251);
  const sealed = new Uint8Array(length + TAG_LENGTH);
  from.keys.send.seal([message], sealed, 0);
  const opened = to.keys.receive.open(sealed);
  assert.is(opened.length, length);
  assert.ok(opened.every((byte) => byte === length % 251));
}

function counting() {
  const counts = { sealed: 0, opened: 0 };
  const cipher: Cipher = {
    seal(...call) {
      counts.sealed++;
      nobleAesGcm.seal(...call);
    },
    open(...call) {
      counts.opened++;
      return nobleAesGcm.open(...call);
    },
  };
  return { counts, cipher };
}

async function newIdentity(credential: string): Promise<ChannelIdentity> {
  return { credential, key: await StaticKey.import(await generateAgreementKey()) };
}
