/** A link whose relay says what a test has it say. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { Leftovers } from "../tests/leftovers.ts";
import { memoryPair } from "../transports/memory.ts";
import { Request, SignIn } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { generateKeyPair } from "./identity/keys.ts";
import type { Link } from "./link.ts";
import { CloseCode } from "./transport.ts";
import { newInstance, signIn } from "./sign_in.ts";

const test = suite("link");

test("a relay whose list of devices has no end is left", async () => {
  const { link, answer } = await signedIn();
  const listing = failureOf(link.devices());
  const page = [{ id: "a", online: false }, { id: "b", online: true }];
  for (let i = 0; i < 2; i++) {
    answer((id) => ({ type: "devices", id, devices: page, more: true }));
  }
  assert.is((await bounded("the list", listing)).code, "protocol");
});

test("a relay that names ever new devices is left at 100,000", async () => {
  const { link, answer } = await signedIn();
  const listing = failureOf(link.devices());
  for (let from = 0; from <= 100_000; from += 1_000) {
    const devices = Array.from({ length: 1_000 }, (_, i) => {
      return { id: `d${String(from + i).padStart(7, "0")}`, online: false };
    });
    const next = devices.at(-1)!.id;
    answer((id) => ({ type: "devices", id, devices, more: true, next }));
  }
  assert.is((await bounded("the list", listing)).code, "limit");
});

test("once the relay has ended the control stream, requests fail at once", async () => {
  const { link, control } = await signedIn();
  const asking = failureOf(link.ping());
  await control.close();
  assert.is((await bounded("the request", asking)).code, "closed");
  using leftovers = new Leftovers();
  const next = failureOf(link.ping());
  assert.is(leftovers.timers, 0);
  assert.is((await bounded("the next request", next)).code, "closed");
});

test("a time that no date can be is no answer", async () => {
  const { link, answer } = await signedIn();
  const asking = failureOf(link.device("x"));
  const device = { id: "x", online: false, since: Number.MAX_SAFE_INTEGER };
  answer((id) => ({ type: "device", id, device }));
  assert.is((await bounded("the answer", asking)).code, "protocol");
  assert.is((await bounded("the close", link.closed)).code, 4);
});

test("a relay that is silent is asked for a sign, and left without one; with one it is waited for", async () => {
  const doubt = { after: 5, patience: 10 };
  const silent = await signedIn();
  const lost = Promise.withResolvers<void>();
  silent.link.closed.then(() => lost.resolve());
  await bounded("the end of the wait", silent.link.hear(lost.promise, doubt));
  assert.is((await silent.link.closed).code, CloseCode.timeout);
  assert.ok(silent.link.isSilent);
  const slow = await signedIn();
  const answer = Promise.withResolvers<string>();
  const { request } = slow.link;
  let [asking, most] = [0, 0];
  slow.link.request = async (...args) => {
    most = Math.max(most, ++asking);
    return await request.apply(slow.link, args).finally(() => asking--);
  };
  const waiting = { after: 5, patience: 60_000 };
  const heard = slow.link.hear(answer.promise, waiting);
  const others = Array.from({ length: 10 }, () => slow.link.hear(answer.promise, waiting));
  const signs = [1, 2].map(() => {
    const { promise, resolve } = Promise.withResolvers<void>();
    slow.answer((id) => (resolve(), { type: "done", id }));
    return promise;
  });
  await bounded("two signs", Promise.all(signs));
  answer.resolve("accepted");
  assert.is(await heard, "accepted");
  await Promise.all(others);
  assert.is(most, 1, "one question at a time serves all who wait");
  assert.not(slow.link.isSilent);
});

test("a retired link whose last use ends behind its session leaves no timer", async () => {
  using leftovers = new Leftovers();
  const { link } = await signedIn();
  const release = link.hold();
  const before = leftovers.timers;
  link.retire(new AbortController().signal);
  link.session.close();
  await bounded("the end", link.session.closed);
  await null; // What follows from the end.
  release();
  assert.is(leftovers.timers, before);
});

test.run();

/** A link that is signed in, and a way to answer its next requests, one by one. */
async function signedIn(): Promise<
  { link: Link; control: MessageStream; answer(make: (id: number) => unknown): void }
> {
  const [session, far] = memoryPair();
  const { privateKey } = await generateKeyPair();
  const signingIn = signIn(session, {
    claim: { credential: "c", privateKey },
    audience: "relay:443",
    instance: newInstance(),
    agent: "test",
  });
  const control = new MessageStream(await far.openStream());
  await control.send({ type: "challenge", versions: [1], nonce: "A".repeat(43), agent: "test" });
  await control.receive(SignIn, { action: "test" });
  await control.send({ type: "welcome", principal: { role: "operator", name: "night" } });
  let last: Promise<void> = Promise.resolve();
  return {
    link: await signingIn,
    control,
    answer(make) {
      last = last.then(async () => {
        const { id } = await control.receive(Request, { action: "test" });
        await control.send(make(id));
      });
      last.catch(() => {}); // The link has left.
    },
  };
}
