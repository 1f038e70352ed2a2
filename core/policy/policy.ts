/** Who may do what now: the store's snapshot, made ready for a look at every dial. */

import { formatTarget } from "../allow.ts";
import { TunnelError } from "../errors.ts";
import type { Role } from "../identity/credential.ts";
import type { Target } from "../names.ts";
import type { PolicySnapshot, Standing } from "../store.ts";
import type { Rights } from "./change.ts";
import { covers, type Grant, hasEnded, matches, parseScope, type Scope } from "./grant.ts";

/** What a dial is about. */
export interface DialSubject {
  readonly operator: string;
  readonly device: string;
  readonly target: Target;
}

/** A credential as far as it may have been revoked. */
export interface Holder {
  readonly role: Role;
  readonly name: string;
  /** When its credential was issued, milliseconds since 1970, to the second. */
  readonly issuedAt: number;
}

interface ReadyGrant {
  readonly grant: Grant;
  readonly scope: Scope;
}

export class Policy {
  readonly version: number;
  /** By role and name. */
  readonly standings: readonly Standing[];
  /** Devices that have joined or been seen, those left out that were revoked and have not come back. */
  readonly devices: number;
  readonly #byId: readonly Grant[];
  readonly #grants = new Map<string, ReadyGrant[]>();
  readonly #standings = new Map<string, Standing>();

  constructor({ version, grants, standings }: PolicySnapshot) {
    this.version = version;
    this.standings = standings;
    this.devices =
      standings.filter(({ role, revokedAt }) => role === "device" && !revokedAt).length;
    this.#byId = grants.toSorted((a, b) => a.id < b.id ? -1 : 1);
    for (const grant of grants) {
      const ready = { grant, scope: parseScope(grant.scope) };
      const those = this.#grants.get(grant.operator);
      if (those) those.push(ready);
      else this.#grants.set(grant.operator, [ready]);
    }
    for (const standing of standings) this.#standings.set(keyOf(standing), standing);
  }

  /** Allows nothing: what a relay goes by until it has read its store. */
  static readonly NOTHING: Policy = new Policy({ version: -1, grants: [], standings: [] });

  /** When a credential was revoked, milliseconds since 1970; undefined when it was not. */
  revokedAt({ role, name, issuedAt }: Holder): number | undefined {
    const { revokedAt } = this.#standings.get(keyOf({ role, name })) ?? {};
    if (revokedAt === undefined || toSecond(issuedAt) > toSecond(revokedAt)) return undefined;
    return revokedAt;
  }

  /**
   * The instant to issue a credential at for whoever has redeemed an invitation at that one. It was
   * made after the name was revoked, if that was before; then its second must be a later one. A
   * revocation since then is to cover the credential.
   */
  issuingTime(holder: Pick<Holder, "role" | "name">, at: number): number {
    const { revokedAt = 0 } = this.#standings.get(keyOf(holder)) ?? {};
    return revokedAt < at ? Math.max(at, (toSecond(revokedAt) + 1) * 1_000) : at;
  }

  /** @throws {TunnelError} `refused` when the credential was revoked */
  checkHolder(holder: Holder): void {
    const revokedAt = this.revokedAt(holder);
    if (revokedAt === undefined) return;
    const { role, name } = holder;
    throw new TunnelError("refused", {
      action: "check the credential",
      state: `${role} ${name} was revoked at ${new Date(revokedAt).toISOString()}`,
      remedy: "ask for a new join string and join again",
    });
  }

  /** What an operator may do beside dialling. */
  rights(operator: string): Required<Rights> {
    const { admin = false, approver = false } =
      this.#standings.get(keyOf({ role: "operator", name: operator })) ?? {};
    return { admin, approver };
  }

  /** The grants that have not ended, of one operator or of all, by ID. */
  grants(now: number, operator?: string): Grant[] {
    return this.#byId.filter((grant) =>
      !hasEnded(grant, now) && (operator === undefined || grant.operator === operator)
    );
  }

  /** Whether an operator has a grant for anything at a device. */
  names(operator: string, device: string, now: number): boolean {
    return (this.#grants.get(operator) ?? [])
      .some(({ grant, scope }) => !hasEnded(grant, now) && matches(scope.devices, device));
  }

  /** The devices that the grants of an operator name, as a text to compare. */
  reach(operator: string, now: number): string {
    return (this.#grants.get(operator) ?? [])
      .filter(({ grant }) => !hasEnded(grant, now)).map(({ grant }) => grant.scope).join("\n");
  }

  /**
   * Until when an operator may dial a target of a device, milliseconds since 1970; Infinity where no
   * grant of it ends.
   *
   * @throws {TunnelError} `refused` when none has it
   */
  authorise({ operator, device, target }: DialSubject, now: number): number {
    const those = (this.#grants.get(operator) ?? [])
      .filter(({ grant, scope }) => !hasEnded(grant, now) && covers(scope, device, target))
      .map(({ grant }) => grant.until ?? Infinity);
    if (those.length > 0) return Math.max(...those);
    const text = `${device}:${formatTarget(target)}`;
    throw new TunnelError("refused", {
      action: `dial ${text}`,
      state: `operator ${operator} has no grant for it`,
      remedy: `have an admin give one: tunnel grant ${operator} '${text}'`,
    });
  }
}

function keyOf({ role, name }: { role: Role; name: string }): string {
  return `${role}:${name}`;
}

/** Credentials tell their time in seconds. */
function toSecond(at: number): number {
  return Math.floor(at / 1_000);
}
