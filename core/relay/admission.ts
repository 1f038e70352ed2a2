/** The relay's half of a sign-in: who is there, proven, before anything else is done for them. */

import { type Refused, type SignIn, SignIn as SignInSchema, VERSIONS } from "../control.ts";
import { MessageStream } from "../control_stream.ts";
import { delay, withDeadline } from "../deadline.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import type { Principal, Verifier } from "../identity/credential.ts";
import { hashSecret } from "../identity/join.ts";
import { thumbprint } from "../identity/keys.ts";
import { joinSubject, newNonce, verifyProof } from "../identity/proof.ts";
import { MAX_GREETING } from "../message.ts";
import { toRefusal } from "../refusal.ts";
import type { Store } from "../store.ts";
import { CloseCode, closeInfo, type Session } from "../transport.ts";
import { cannotIssue, type Issuing, validityOf } from "./issuing.ts";

/** What a relay decides by. */
export interface Gate extends Issuing {
  readonly store: Store;
  readonly verifier: Verifier;
  /** Whether this relay answers to a `host:port` that a client says it dialled. */
  readonly isOwnAddress: (address: string) => boolean;
  readonly agent: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Somebody who has proven who they are. */
export interface Admitted {
  readonly member: Principal;
  readonly instance: string;
  readonly control: MessageStream;
  /** As it was shown, or issued just now. */
  readonly credential: string;
  /** A device's. */
  readonly epoch: string | undefined;
}

/** Milliseconds that a refused peer has to read why. */
const FAREWELL = 2_000;

/**
 * Runs the sign-in on a new session. Whoever fails it is told why and the session is closed.
 *
 * @param timeout milliseconds for all of it
 * @throws {TunnelError} `refused`, `protocol`, `timeout`, `reset`
 */
export async function admit(session: Session, gate: Gate, timeout: number): Promise<Admitted> {
  const action = `sign in from ${session.remote.hostname}`;
  let control: MessageStream | undefined;
  try {
    return await withDeadline({ action, timeout }, async (signal) => {
      control = new MessageStream(await session.openStream({ signal }));
      const nonce = newNonce();
      await control.send({ type: "challenge", versions: VERSIONS, nonce, agent: gate.agent });
      const signIn = await control.receive(SignInSchema, { action, limit: MAX_GREETING });
      if (!VERSIONS.includes(signIn.version)) {
        throw new TunnelError("protocol", {
          action,
          state: `it speaks version ${signIn.version}, this relay ${VERSIONS.join(", ")}`,
          remedy: "run versions that go together",
        });
      }
      const { member, credential } = signIn.type === "join"
        ? await enrol(signIn, nonce, gate)
        : await recognise(signIn, nonce, gate);
      const principal = { role: member.role, name: member.name };
      await control.send({ type: "welcome", principal, credential });
      const shown = signIn.type === "auth" ? signIn.credential : credential!;
      return { member, instance: signIn.instance, control, credential: shown, epoch: signIn.epoch };
    });
  } catch (cause) {
    const error = toTunnelError(cause, action, "reset").during(action);
    await dismiss(session, control, error);
    throw error;
  }
}

type Of<T extends SignIn["type"]> = Extract<SignIn, { type: T }>;

async function recognise(signIn: Of<"auth">, nonce: string, gate: Gate) {
  const { credential, proof } = signIn;
  const member = await gate.verifier.verify(credential, { now: gate.now(), expiryTolerance: 0 });
  await verifyProof(proof, {
    key: member.key,
    nonce,
    audience: gate.isOwnAddress,
    subject: credential,
  });
  return { member, credential: undefined };
}

async function enrol(signIn: Of<"join">, nonce: string, gate: Gate) {
  const { key, agreement, secret, proof } = signIn;
  const { authority, store, now } = gate;
  if (!authority) throw cannotIssue();
  // The proof comes first: a secret is spent only on a key that its sender holds.
  const subject = joinSubject(secret, agreement);
  await verifyProof(proof, { key, nonce, audience: gate.isOwnAddress, subject });
  const { role, name } = await store.redeemInvite(await hashSecret(secret), now());
  const { token, principal } = await authority.issue({
    role,
    name,
    holder: key,
    agreement,
    ttl: validityOf(gate, role),
    now: now(),
  });
  await store.recordMember({
    role,
    name,
    credentialId: principal.credentialId,
    keyThumbprint: await thumbprint(key),
    expiresAt: principal.expiresAt,
    at: now(),
  });
  return { member: principal, credential: token };
}

/** Says why on the control stream and gives the peer a moment to read it: a close overtakes data. */
async function dismiss(session: Session, control: MessageStream | undefined, error: TunnelError) {
  const refusal = toRefusal(error);
  const gone = new AbortController();
  const left = session.closed.catch(() => {}).finally(() => gone.abort());
  const told = control?.send(refusal).then(() => control!.close()).catch(() => {}); // Gone already.
  await Promise.race([Promise.all([told, left]), delay(FAREWELL, gone.signal)]);
  session.close(closeInfo(CLOSE_CODES[refusal.code] ?? CloseCode.done, refusal.state));
}

/** Only `refused` tells a client not to come again. */
const CLOSE_CODES: Partial<Record<Refused["code"], number>> = {
  refused: CloseCode.refused,
  protocol: CloseCode.protocol,
  timeout: CloseCode.timeout,
  limit: CloseCode.limit,
};
