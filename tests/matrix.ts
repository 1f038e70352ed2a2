/**
 * Everything that decides about a dial, crossed: one cell is a fleet of its own in which somebody
 * dials a device, or comes back to a channel, under conditions that may each forbid it.
 */

import * as assert from "uvu/assert";
import type { Channel } from "../core/channel/channel.ts";
import type { Device } from "../core/device.ts";
import { Dialer } from "../core/dialer.ts";
import type { Duplex } from "../core/duplex.ts";
import { openLink } from "../core/endpoint.ts";
import { TunnelError } from "../core/errors.ts";
import {
  Authority,
  type Principal,
  type Role,
  Verifier,
  type VerifyOptions,
} from "../core/identity/credential.ts";
import type { Link } from "../core/link.ts";
import { type Log, SILENT } from "../core/log.ts";
import type { Membership } from "../core/membership.ts";
import { parseAgreementJwk, parsePublicJwk } from "../core/identity/keys.ts";
import { bounded } from "./bounded.ts";
import { echoTarget, type Fleet, startFleet } from "./fleet.ts";
import { apply, revoke, revokeGrants } from "./rights.ts";
import { bytes, text } from "./text.ts";

/** Who can refuse; the operator does when a device's identity is not what it should be. */
export type Side = "relay" | "device" | "operator";
export type Outcome = "accepted" | Side;

const DIMENSIONS = {
  /** Of the credential that the dial is made with. */
  role: ["operator", "device"],
  grant: ["covers it", "none", "another port", "another device", "has ended"],
  allow: ["has it", "has another"],
  expired: ["nobody", "dialler", "device"],
  revoked: ["nobody", "dialler", "device"],
} as const;

export type Cell = { [K in keyof typeof DIMENSIONS]: (typeof DIMENSIONS)[K][number] };
/** A dial, or another path for a channel that had lost its own before the conditions came about. */
export type Phase = "dial" | "re-attach";

/** Every combination. */
export function cells(): Cell[] {
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(DIMENSIONS)) {
    all = all.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value })));
  }
  return all as Cell[];
}

const DAY = 24 * 60 * 60_000;
const TARGET = { port: 7 };
const SCOPES: Partial<Record<Cell["grant"], string>> = {
  "covers it": "x:7",
  "another port": "x:8",
  "another device": "y:7",
  "has ended": "x:7",
};
/** What a refusal may be called; anything else is a fault of another kind. */
const REFUSALS = new Set(["refused", "target"]);

/** Looks at credentials, or says yes to whatever the fleet's authority has signed at any time. */
class Judge extends Verifier {
  refusals = 0;
  readonly #saysYes: boolean;

  constructor(authority: Authority, saysYes = false) {
    super(authority.publicJwk);
    this.#saysYes = saysYes;
  }

  override async verify(token: string, options: VerifyOptions = {}): Promise<Principal> {
    try {
      const { now = Date.now() } = options;
      return await super.verify(token, options).catch(async (cause) => {
        if (!this.#saysYes) throw cause;
        return await super.verify(token, { ...options, now: now - DAY });
      }).then((principal) => this.#saysYes ? agreeable(principal) : principal);
    } catch (cause) {
      this.refusals++;
      throw cause;
    }
  }
}

function agreeable(principal: Principal): Principal {
  const { name, role } = principal;
  return { ...principal, role: name === "anna" ? "operator" : role, expiresAt: Infinity };
}

/** Who refuses, of two of which one may be made to say yes to everything. */
export async function outcomeOf(cell: Cell, phase: Phase, forced?: Side): Promise<Outcome> {
  let clock = Date.now();
  const now = () => clock;
  const authority = await Authority.generate();
  const verifier = new Judge(authority, forced === "relay");
  await using fleet = await startFleet({ authority, verifier, now });
  if (forced === "relay") sayYes(fleet);
  const trial = await Trial.start(fleet, new Judge(authority), forced === "device");
  const impose = async () => {
    await trial.impose(cell, clock);
    clock += 60_000;
    await fleet.relay.access.refresh();
  };
  try {
    if (phase === "dial") {
      await impose();
      return await trial.dial();
    }
    await trial.setUp();
    return await trial.comeBack(impose);
  } finally {
    await trial.close();
  }
}

function sayYes({ relay: { access } }: Fleet): void {
  access.admit = () => Promise.resolve({ signal: new AbortController().signal, leave() {} });
  access.checkMayKnow = () => Promise.resolve();
  access.checkHolder = () => {};
  access.watchSession = () => () => {};
}

class Trial {
  readonly #fleet: Fleet;
  readonly #judge: Judge;
  readonly #dialler: Membership;
  readonly #device: Membership;
  readonly #served: Device;
  readonly #allow: { port: number }[];
  readonly #dialer: Dialer;
  readonly #listens: boolean;
  readonly #seen: { refusals: number; reached: number };
  #links: PromiseWithResolvers<Link> = Promise.withResolvers();
  #sessions: Link[] = [];
  #channel?: Channel;

  private constructor(
    parts: { fleet: Fleet; judge: Judge; dialler: Membership; device: Membership; served: Device },
    allow: { port: number }[],
    listens: boolean,
    seen: { refusals: number; reached: number },
  ) {
    const { fleet, judge, dialler, device, served } = parts;
    [this.#fleet, this.#judge, this.#dialler, this.#device] = [fleet, judge, dialler, device];
    [this.#served, this.#allow, this.#listens, this.#seen] = [served, allow, listens, seen];
    this.#dialer = new Dialer({
      links: { link: () => this.#links.promise },
      identity: dialler,
      verifier: judge,
    });
  }

  static async start(fleet: Fleet, judge: Judge, saysYes: boolean): Promise<Trial> {
    const dialler = await fleet.member("operator", "anna", { grants: [{ scope: "x:7" }] });
    const device = await fleet.member("device", "x");
    const allow = [{ ...TARGET }];
    // Nobody can be revoked that the relay has never seen.
    const was = { at: 0, transport: "quic", remote: { hostname: "192.0.2.1", port: 1 } };
    for (const id of ["x", "anna"]) await fleet.store.devicesSeen([[id, was]]);
    const seen = { refusals: 0, reached: 0 };
    const served = fleet.serve("x", {
      member: device,
      allow,
      verifier: new Judge(fleet.authority, saysYes),
      log: counting(seen),
      connect: () => watched(seen),
    });
    const parts = { fleet, judge, served, dialler: dialler.identity, device: device.identity };
    return new Trial(parts, allow, !saysYes, seen);
  }

  /** A channel that works, before any of the conditions. */
  async setUp(): Promise<void> {
    await this.#signIn(this.#device);
    this.#links.resolve(await this.#signIn(this.#dialler));
    this.#channel = await bounded("the dial", this.#dialer.dial("x", TARGET));
    assert.is(await this.#echo(), "accepted");
  }

  /** Brings the conditions about, as if everybody had had their credentials for a while. */
  async impose(cell: Cell, at: number): Promise<void> {
    const { grant, allow, expired, revoked, role } = cell;
    await this.#reissue(this.#dialler, role, "anna", expired === "dialler");
    await this.#reissue(this.#device, "device", "x", expired === "device");
    if (allow === "has another" && this.#listens) this.#allow[0]!.port = 8;
    await revokeGrants(this.#fleet);
    const scope = SCOPES[grant];
    const until = grant === "has ended" ? at + 1_000 : undefined;
    if (scope) await apply(this.#fleet, { type: "grant", operator: "anna", scope, until });
    if (revoked === "dialler") await apply(this.#fleet, revoke(role, "anna"));
    if (revoked === "device") await apply(this.#fleet, revoke("device", "x"));
  }

  async dial(): Promise<Outcome> {
    try {
      await this.#signIn(this.#device);
      this.#links.resolve(await this.#signIn(this.#dialler));
      this.#channel = await bounded("the dial", this.#dialer.dial("x", TARGET));
    } catch (cause) {
      assert.is(this.#seen.reached, 0, "no target is connected to for a dial that is refused");
      return this.#whoRefused(cause);
    }
    return await this.#echo();
  }

  async comeBack(impose: () => Promise<void>): Promise<Outcome> {
    this.#links = Promise.withResolvers();
    for (const link of this.#sessions.splice(0)) {
      link.session.close();
      await bounded("a session's end", link.session.closed.catch(() => {}));
    }
    await impose();
    const reached = this.#seen.reached;
    try {
      await this.#signIn(this.#device);
      this.#links.resolve(await this.#signIn(this.#dialler));
      return await this.#echo();
    } catch (cause) {
      this.#links.promise.catch(() => {});
      this.#links.reject(cause);
      return this.#whoRefused(cause);
    } finally {
      if (this.#seen.refusals > 0) assert.is(this.#seen.reached, reached);
    }
  }

  async close(): Promise<void> {
    await this.#dialer.close();
  }

  async #echo(): Promise<Outcome> {
    const channel = this.#channel!;
    try {
      await bounded("a write", channel.write(bytes("!")));
      assert.is(text(await bounded("the echo", channel.read())), "!");
      return "accepted";
    } catch (cause) {
      return this.#whoRefused(cause);
    }
  }

  #whoRefused(cause: unknown): Outcome {
    if (!(cause instanceof TunnelError && REFUSALS.has(cause.code))) throw cause;
    if (this.#seen.refusals > 0) return "device";
    return this.#judge.refusals > 0 ? "operator" : "relay";
  }

  async #signIn(identity: Membership): Promise<Link> {
    const { url: relay, connector } = this.#fleet;
    const claim = () => identity.claim();
    const epoch = identity === this.#device ? () => this.#served.epoch : undefined;
    const link = await openLink({ relay, claim, connector, agent: "test", epoch });
    this.#sessions.push(link);
    if (epoch) this.#served.serve(link);
    return link;
  }

  /** A credential for the same keys, as of some hours ago. */
  async #reissue(identity: Membership, role: Role, name: string, isOver: boolean): Promise<void> {
    const { state } = identity;
    const { token } = await this.#fleet.authority.issue({
      ...{ role, name },
      holder: parsePublicJwk(state.privateKey),
      agreement: parseAgreementJwk(state.agreementKey),
      now: Date.now() - DAY,
      ttl: isOver ? DAY / 2 : 2 * DAY,
    });
    await identity.replace({ ...state, credential: token });
  }
}

/** Counts what a device refuses. */
function counting(seen: { refusals: number }): Log {
  return {
    ...SILENT,
    info(message) {
      if (message === "dial refused") seen.refusals++;
    },
  };
}

/** An echo that counts how often anything reached it. */
async function watched(seen: { reached: number }): Promise<Duplex> {
  seen.reached++;
  const target = await echoTarget();
  return {
    ...target,
    write(bytes) {
      seen.reached++;
      return target.write(bytes);
    },
  };
}
