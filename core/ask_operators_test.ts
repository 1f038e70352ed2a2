import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { echoTarget, type Fleet, startFleet } from "../tests/fleet.ts";
import { askOperators } from "./ask_operators.ts";
import type { WaitingDial } from "./control.ts";
import { decideDial, type NamedDial, waitingDials } from "./decide.ts";
import { openLink } from "./endpoint.ts";
import { Verifier } from "./identity/credential.ts";
import { makeDecision } from "./identity/decision.ts";
import { generateAgreementKey, parseAgreementJwk } from "./identity/keys.ts";
import type { Link } from "./link.ts";
import type { Claim } from "./sign_in.ts";
import type { RelayOptions } from "./relay/relay.ts";

const test = suite("ask operators");

test("a dial waits until another operator has let it in", async () => {
  await using world = await startWorld();
  const dialling = world.dial("ticket 4711");
  const [dial] = await world.waiting(1);
  const { device, operator, port, reason } = dial!;
  assert.equal([device, operator, port, reason], ["x", "night", 7, "ticket 4711"]);
  const decided = await decideDial(world.boss.link, world.boss.claim, {
    id: dial!.id,
    accept: true,
  });
  assert.is(decided.operator, "night");
  const channel = await bounded("the dial", dialling);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
  assert.is(world.fleet.relay.approvals.size, 0);
});

test("a dial that is denied is refused, with who denied it", async () => {
  await using world = await startWorld();
  const dialling = failureOf(world.dial());
  const [{ id }] = await world.waiting(1) as [NamedDial];
  await decideDial(world.boss.link, world.boss.claim, { id, accept: false });
  const error = await bounded("the dial", dialling);
  assert.equal([error.code, error.parts.state], ["refused", "operator boss denied it"]);
});

test("each of many dials is decided about by itself", async () => {
  await using world = await startWorld();
  const dials = Array.from({ length: 10 }, (_, i) => world.dial(`dial ${i}`));
  const outcomes = Promise.allSettled(dials);
  const waiting = await world.waiting(10);
  for (const { id, reason } of waiting) {
    const accept = Number(reason!.slice(5)) % 2 === 0;
    await decideDial(world.boss.link, world.boss.claim, { id, accept });
  }
  const letIn = (await bounded("the dials", outcomes)).map(({ status }) => status === "fulfilled");
  assert.equal(letIn, Array.from({ length: 10 }, (_, i) => i % 2 === 0));
});

test("nobody decides whom the relay does not let, about their own dial, or twice", async () => {
  await using world = await startWorld({
    mayApprove: (operator, { device }) => operator !== "guest" && device === "x",
  });
  const guest = await member(world.fleet, "guest");
  const dialling = world.dial();
  const [{ id }] = await world.waiting(1) as [NamedDial];
  for (const { link, claim } of [guest, world.night]) {
    assert.equal(await waitingDials(link), []);
    const error = await failureOf(decideDial(link, claim, { id, accept: true }));
    assert.is(error.code, "gone");
    // The relay says so too, to those who ask it without looking first.
    const request = { type: "approve", id: 0, dial: id, accept: true, decision: "x" } as const;
    const asked = link.request({ ...request, credential: "x" });
    assert.is((await failureOf(asked)).code, "gone");
  }
  await decideDial(world.boss.link, world.boss.claim, { id, accept: true });
  await bounded("the dial", dialling);
  const again = decideDial(world.boss.link, world.boss.claim, { id, accept: true });
  assert.is((await failureOf(again)).code, "gone");
});

test("by default nobody may decide", async () => {
  await using world = await startWorld({ mayApprove: undefined, timeout: 1_000 });
  const dialling = failureOf(world.dial());
  while (world.fleet.relay.approvals.size === 0) await turn();
  assert.equal(await waitingDials(world.boss.link), []);
  const error = await bounded("the dial", dialling);
  assert.equal([error.code, error.exitCode], ["refused", 3]);
  assert.match(error.message, /nobody approved the dial within 1 s/);
});

test("a dial that its operator gives up waits no longer, nor does one whose device is lost", async () => {
  await using world = await startWorld();
  const stop = new AbortController();
  const given = failureOf(world.dial(undefined, stop.signal));
  await world.waiting(1);
  stop.abort();
  await bounded("the dial", given);
  await world.waiting(0);
  const lost = failureOf(world.dial());
  await world.waiting(1);
  world.device.session.close();
  assert.is((await bounded("the dial", lost)).code, "offline");
  await world.waiting(0);
});

test("only devices ask, and only operators decide", async () => {
  await using world = await startWorld();
  const { device, night } = world;
  const [epoch, hello] = ["A".repeat(22), "A".repeat(43)];
  const dial = { operator: "night", port: 7, protocol: "tcp", epoch, hello } as const;
  const refused: Promise<unknown>[] = [
    night.link.request({ type: "approval", id: 0, ...dial, timeout: 1 }),
    night.link.request({ type: "withdraw", id: 0, hello }),
    device.request({ type: "approvals", id: 0 }),
    device.request({
      type: "approve",
      id: 0,
      dial: "0".repeat(16),
      accept: true,
      decision: "",
      credential: "",
    }),
  ];
  for (const asked of refused) assert.is((await failureOf(asked)).code, "refused");
});

test("other requests are answered while a device waits, and its waiting dials are bounded", async () => {
  await using world = await startWorld({ limits: { approvalsPerDevice: 2, approvals: 3 } });
  const y = await world.fleet.device("y");
  const ask = (link: Link, letter: string, timeout = 60_000) =>
    link.request({
      type: "approval",
      id: 0,
      operator: "night",
      port: 7,
      protocol: "tcp",
      epoch: "A".repeat(22),
      hello: letter.repeat(42) + "A",
      timeout,
    }, { timeout: 60_000 });
  const kept = [ask(world.device, "a"), ask(world.device, "b"), ask(y, "a")].map(failureOf);
  await world.waiting(3);
  assert.ok(await world.device.ping() >= 0);
  assert.is((await failureOf(ask(world.device, "c"))).code, "limit");
  assert.is((await failureOf(ask(y, "b"))).code, "limit");
  await world.device.request({ type: "withdraw", id: 0, hello: "a".repeat(42) + "A" });
  assert.is((await bounded("the withdrawn", kept[0]!)).code, "gone");
  await world.waiting(2);
  assert.is((await failureOf(ask(world.device, "b"))).code, "refused");
  assert.is((await failureOf(ask(world.device, "d", 20))).code, "timeout");
});

test("a list longer than a page comes whole", async () => {
  await using world = await startWorld({ limits: { approvalsPerDevice: 100 } });
  for (let i = 0; i < 40; i++) {
    const hello = `${String(i).padStart(42, "a")}A`;
    failureOf(world.device.request({
      ...{ type: "approval", id: 0, operator: "night", port: 7, protocol: "tcp" },
      ...{ epoch: "A".repeat(22), hello, timeout: 60_000, reason: "€".repeat(200) },
    } as never, { timeout: 60_000 }));
  }
  const dials = await world.waiting(40);
  assert.is(new Set(dials.map(({ id }) => id)).size, 40);
});

/** What a relay that is not to be trusted makes of a decision, or makes up. */
type Forge = (world: World, dial: WaitingDial) => Promise<{ decision: string; credential: string }>;

const forgeries: [what: string, said: RegExp, forge: Forge][] = [
  [
    "of the operator who dials",
    /operator night cannot approve a dial of its own/,
    ({ night }, dial) => sign(night.claim, dial),
  ],
  [
    "of a device",
    /device y cannot approve a dial/,
    async ({ fleet }, dial) => sign(await fleet.claim("device", "y"), dial),
  ],
  [
    "of another fleet's operator",
    /another fleet/,
    async (_, dial) => {
      await using other = await startFleet();
      return await sign(await other.claim("operator", "boss"), dial);
    },
  ],
  [
    "of an operator whose credential has expired",
    /expired/,
    async ({ fleet }, dial) => {
      const times = { now: Date.now() - 7_200_000, ttl: 60_000 };
      return sign(await fleet.claim("operator", "boss", times), dial);
    },
  ],
  [
    "about a dial of another operator",
    /about another dial/,
    ({ boss }, dial) => sign(boss.claim, { ...dial, operator: "day" }),
  ],
  [
    "about another target",
    /about another dial/,
    ({ boss }, dial) => sign(boss.claim, { ...dial, port: 8 }),
  ],
  [
    "about a dial with another hello",
    /about another dial/,
    ({ boss }, dial) => sign(boss.claim, { ...dial, hello: "A".repeat(43) }),
  ],
  [
    "that was made with another credential",
    /belongs to another credential/,
    async ({ boss, fleet }, dial) => {
      const { decision } = await sign(boss.claim, dial);
      const again = await reissue(fleet, boss.claim, "chief");
      return { decision, credential: again };
    },
  ],
  [
    "that says no",
    /operator boss denied it/,
    ({ boss }, dial) => sign(boss.claim, dial, false),
  ],
  [
    "that is none",
    /malformed/,
    ({ boss }) => Promise.resolve({ decision: "yes", credential: credentialOf(boss.claim) }),
  ],
];
for (const [what, said, forge] of forgeries) {
  test(`a relay that hands on a decision ${what} gets no dial in`, async () => {
    await using world = await startWorld();
    let connected = false;
    world.target.onConnect = () => connected = true;
    const dialling = failureOf(world.dial());
    const [dial] = await world.waiting(1) as [NamedDial];
    world.fleet.relay.approvals.decide(dial.id, await forge(world, dial));
    const error = await bounded("the dial", dialling);
    assert.is(error.code, "refused");
    assert.match(error.message, said);
    assert.is(connected, false);
  });
}

test("a decision that was good once lets in no other dial", async () => {
  await using world = await startWorld();
  const first = world.dial();
  const [dial] = await world.waiting(1) as [NamedDial];
  const decision = await sign(world.boss.claim, dial);
  world.fleet.relay.approvals.decide(dial.id, decision);
  await bounded("the first", first);
  const second = failureOf(world.dial());
  const [{ id }] = await world.waiting(1) as [NamedDial];
  assert.is.not(id, dial.id);
  world.fleet.relay.approvals.decide(id, decision);
  assert.match((await bounded("the second", second)).message, /about another dial/);
});

test("a relay that shows a dial otherwise than it is gets a decision that fits no dial", async () => {
  await using world = await startWorld();
  const dialling = failureOf(world.dial("delete everything"));
  const [real] = await world.waiting(1) as [NamedDial];
  const request = world.boss.link.request.bind(world.boss.link);
  const sent: string[] = [];
  world.boss.link.request = async (asked, options) => {
    if (asked.type === "approve") {
      sent.push(asked.dial);
      // The relay passes it on for the dial that it did not show.
      return await request({ ...asked, dial: real.id }, options);
    }
    const reply = await request(asked, options);
    if (reply.type !== "approvals") return reply;
    return { ...reply, dials: reply.dials.map((dial) => ({ ...dial, reason: "read a log" })) };
  };
  const [shown] = await waitingDials(world.boss.link) as [NamedDial];
  assert.is.not(shown.id, real.id);
  await decideDial(world.boss.link, world.boss.claim, { id: shown.id, accept: true });
  assert.equal(sent, [shown.id]);
  assert.match((await bounded("the dial", dialling)).message, /about another dial/);
});

test.run();

type Credentialed = Extract<Claim, { credential: string }>;
type Party = { link: Link; claim: Credentialed };
type World = Awaited<ReturnType<typeof startWorld>>;

/** A device x that asks operators, operator night who dials it, and operator boss who may decide. */
async function startWorld(
  options: {
    mayApprove?: RelayOptions["mayApprove"];
    limits?: RelayOptions["limits"];
    timeout?: number;
  } = {},
) {
  const { timeout = 60_000, limits } = options;
  const mayApprove = "mayApprove" in options ? options.mayApprove : () => true;
  const fleet = await startFleet({ mayApprove, limits });
  const verifier = new Verifier(fleet.authority.publicJwk);
  const target = { onConnect() {} };
  const [night, boss] = [await member(fleet, "night"), await member(fleet, "boss")];
  return {
    fleet,
    target,
    night,
    boss,
    device: await fleet.device("x", {
      approval: { ask: askOperators({ verifier, timeout }), timeout },
      connect: () => (target.onConnect(), echoTarget()),
    }),
    async dial(reason?: string, signal?: AbortSignal) {
      return await fleet.dial(night.link, "x", { port: 7 }, { reason, signal });
    },
    /** The dials that wait, once there are so many. */
    async waiting(count: number): Promise<NamedDial[]> {
      return await bounded(
        `${count} waiting dials`,
        (async () => {
          for (;;) {
            const dials = await waitingDials(boss.link);
            if (dials.length === count) return dials;
            await turn();
          }
        })(),
      );
    },
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}

/** Lets everything else go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function member(fleet: Fleet, name: string): Promise<Party> {
  const claim = await fleet.claim("operator", name) as Credentialed;
  const { url: relay, connector } = fleet;
  return { claim, link: await openLink({ relay, claim, connector, agent: "test" }) };
}

async function sign(claim: Claim, dial: WaitingDial, accept = true) {
  const { credential, privateKey } = claim as Credentialed;
  return { credential, decision: await makeDecision({ privateKey, credential, dial, accept }) };
}

/** Another credential for the same key. */
async function reissue(fleet: Fleet, claim: Claim, name: string): Promise<string> {
  const verifier = new Verifier(fleet.authority.publicJwk);
  const { key: holder } = await verifier.verify(credentialOf(claim));
  const agreement = parseAgreementJwk(await generateAgreementKey());
  return (await fleet.authority.issue({ role: "operator", name, holder, agreement })).token;
}

function credentialOf(claim: Claim): string {
  return (claim as Credentialed).credential;
}
