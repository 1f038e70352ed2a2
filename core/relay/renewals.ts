/** The relay's half of renewals: a new credential for who still has one, for the same keys or new ones. */

import type { Renew } from "../control.ts";
import { TunnelError } from "../errors.ts";
import { type Authority, type Issued, type Principal, Verifier } from "../identity/credential.ts";
import { thumbprint } from "../identity/keys.ts";
import { newNonce, renewalSubject, verifyProof } from "../identity/proof.ts";
import type { Gate } from "./admission.ts";
import { cannotIssue, validityOf } from "./issuing.ts";

/** What one session may ask for. */
export class Renewals {
  readonly #gate: Gate;
  readonly #member: Principal;
  readonly #from: string;
  #nonce?: string;

  /** @param member who has signed in on the session, @param from its address */
  constructor(gate: Gate, member: Principal, from: string) {
    this.#gate = gate;
    this.#member = member;
    this.#from = from;
  }

  /** A nonce for one renewal; it takes the place of the one before. */
  nonce(): string {
    return this.#nonce = newNonce();
  }

  /** @throws {TunnelError} `refused` */
  async renew(request: Renew): Promise<Issued> {
    const { authority, store, now } = this.#gate;
    const nonce = this.#nonce;
    this.#nonce = undefined; // Whatever comes of it, it was answered.
    if (!authority) throw cannotIssue(this.#member);
    if (nonce === undefined) throw refused("no nonce was asked for");
    const held = await this.#verify(request, nonce, authority);
    const issuedAt = now();
    const ttl = await this.#lifeOf(held, request, issuedAt);
    const { role, name } = held;
    const { key: holder, agreement } = request.rotate ?? held;
    const issued = await authority.issue({ role, name, holder, agreement, ttl, now: issuedAt });
    const { credentialId, expiresAt } = issued.principal;
    const keyThumbprint = await thumbprint(holder);
    const member = { role, name, credentialId, keyThumbprint, expiresAt, at: issuedAt };
    await store.recordMember(member, {
      at: issuedAt,
      type: "renew",
      by: `${role}:${name}`,
      from: this.#from,
      [role]: name,
      detail: request.rotate ? "with new keys" : undefined,
    });
    return issued;
  }

  /** The credential to be renewed: it holds, is this member's, and its keys and the new ones are there. */
  async #verify(request: Renew, nonce: string, authority: Authority): Promise<Principal> {
    const { credential, proof, rotate } = request;
    const { isOwnAddress: audience, now } = this.#gate;
    // The authority may be another than the one that members are verified by: it renews its own alone.
    const verifier = new Verifier(authority.publicJwk);
    const held = await verifier.verify(credential, { now: now(), expiryTolerance: 0 });
    const { role, name } = this.#member;
    if (held.role !== role || held.name !== name) {
      throw refused(`the credential is of ${held.role} ${held.name}`);
    }
    const { key, agreement } = rotate ?? held;
    const expected = { nonce, audience, subject: renewalSubject(credential, key, agreement) };
    await verifyProof(proof, { key: held.key, ...expected });
    if (rotate) await verifyProof(rotate.proof, { key: rotate.key, ...expected });
    return held;
  }

  /** Milliseconds that the new credential is to last. */
  async #lifeOf(held: Principal, { rotate }: Renew, now: number): Promise<number> {
    const { isRevoked = () => false, mayRenew = isDevice } = this.#gate;
    const who = `${held.role} ${held.name}`;
    if (await isRevoked(held)) {
      throw refused(`${who} has been revoked`, "ask whoever runs the relay");
    }
    if (await mayRenew(held)) return validityOf(this.#gate, held.role);
    if (!rotate) {
      throw refused(`the credential of ${who} is not renewed`, "ask for a new join string in time");
    }
    // New keys are no longer life.
    const left = held.expiresAt - Math.floor(now / 1_000) * 1_000;
    if (left < 1_000) throw refused(`the credential of ${who} is about to end`);
    return left;
  }
}

function isDevice({ role }: Principal): boolean {
  return role === "device";
}

function refused(state: string, remedy?: string): TunnelError {
  return new TunnelError("refused", { action: "renew the credential", state, remedy });
}
