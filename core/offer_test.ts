import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { type Fleet, startFleet } from "../tests/fleet.ts";
import { initiate } from "./channel/handshake.ts";
import { Answer, Dial } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { TunnelError } from "./errors.ts";
import { Verifier } from "./identity/credential.ts";
import { type LogFields, SILENT } from "./log.ts";
import { encodeMessage, MAX_GREETING } from "./message.ts";
import { MAX_REASON } from "./names.ts";

const test = suite("offer");

test("the reason for a dial is known to relay and device, at the dial and at every re-attach", async () => {
  const told: [what: string, reason: unknown][] = [];
  const resumed = Promise.withResolvers<void>();
  const info = (what: string, fields: LogFields = {}) => {
    if (/^(dial|channel) (accepted|resumed)$/.test(what)) told.push([what, fields.reason]);
    if (told.length === 4) resumed.resolve();
  };
  await using fleet = await startFleet({ log: { ...SILENT, info } });
  await fleet.device("x");
  const dialer = await fleet.dialer(await fleet.operator(), { log: SILENT });
  const channel = await dialer.dial("x", { port: 7 }, { reason: "ticket 4711" });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  dialer.move(await fleet.operator());
  await bounded("the re-attach", resumed.promise);
  // Each once by the device and once by the relay, in whatever order.
  assert.equal(told.map(([what]) => what).sort(), [
    "channel resumed",
    "dial accepted",
    "dial accepted",
    "dial resumed",
  ]);
  assert.equal(told.map(([, reason]) => reason), Array(4).fill("ticket 4711"));
  await dialer.close();
});

const lies: [what: string, meant: string | undefined, said: string | undefined][] = [
  ["another reason", "ticket 4711", "ticket 4712"],
  ["no reason", "ticket 4711", undefined],
  ["a reason of its own", undefined, "ticket 4711"],
];
for (const [what, meant, said] of lies) {
  test(`a device that is told ${what} by the relay refuses the dial`, async () => {
    await using fleet = await startFleet();
    await fleet.device("x");
    const answer = await dialAs(fleet, meant, said);
    assert.is(answer.type, "refused");
    assert.match((answer as { state: string }).state, /gave another reason than operator/);
  });
}

test("a device that is told the very reason takes the dial", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  for (const reason of ["ticket 4711", undefined]) {
    assert.is((await dialAs(fleet, reason, reason)).type, "accepted");
  }
});

test("the relay takes no reason that may not be shown", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const answer = await dialAs(fleet, "ticket", "ticket\n2026-01-01 info dial accepted");
  assert.equal([answer.type, (answer as { code: string }).code], ["refused", "protocol"]);
  const dial = fleet.dial(await fleet.operator(), "x", { port: 7 }, { reason: "a\u0007" });
  assert.instance(await failureOf(dial), TunnelError);
});

test("the longest dial there can be fits its message", async () => {
  await using fleet = await startFleet();
  const { identity } = await fleet.member("operator", "n".repeat(63));
  const device = await fleet.member("device", "x");
  const key = (await new Verifier(fleet.authority.publicJwk).verify(device.identity.credential))
    .agreement.x;
  const [host, reason] = ["h".repeat(253), "€".repeat(MAX_REASON)];
  const epoch = "A".repeat(22);
  const subject = { device: "x".repeat(63), host, port: 65_535, protocol: "tcp", epoch } as const;
  const most = Number.MAX_SAFE_INTEGER;
  const resume = { id: epoch, secret: new Uint8Array(32), attempt: most, received: most };
  const longest = { key: identity.key, credential: "c".repeat(4_096) };
  const { hello } = await initiate(longest, key, subject, { reason }, resume);
  const message = encodeMessage({ type: "dial", ...subject, hello, reason, resume: true });
  assert.ok(message.length - 4 <= MAX_GREETING, `${message.length - 4} bytes`);
  assert.ok(v.is(Dial, JSON.parse(new TextDecoder().decode(message.subarray(4)))));
});

test.run();

/** A dial of an operator who means one reason, by a relay that says another. */
async function dialAs(fleet: Fleet, meant: string | undefined, said: string | undefined) {
  const operator = await fleet.operator();
  const { identity } = await fleet.member("operator", "night-shift");
  const { credential, epoch } = await operator.peer("x");
  const { agreement } = await new Verifier(fleet.authority.publicJwk).verify(credential);
  const subject = { device: "x", port: 7, protocol: "tcp", epoch } as const;
  const { hello } = await initiate(identity, agreement.x, subject, { reason: meant });
  const stream = new MessageStream(await operator.session.openStream());
  await stream.send({ type: "dial", ...subject, hello, reason: said });
  return await bounded("the answer", stream.receive(Answer, { action: "test" }));
}
