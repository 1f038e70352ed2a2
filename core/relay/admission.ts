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
import type { Access } from "./access.ts";
import type { Guest } from "./door.ts";
import { EarlyStreams } from "./early_streams.ts";
import type { AuditLog } from "./audit_log.ts";
import { cannotIssue, type Issuing, validityOf } from "./issuing.ts";
import type { Members } from "./members.ts";
import type { Refusals } from "./refusals.ts";
import { spreadOf } from "./spread.ts";

/** What a relay decides by. */
export interface Gate extends Issuing {
  readonly store: Store;
  readonly verifier: Verifier;
  /** Whether this relay answers to a `host:port` that a client says it dialled. */
  readonly isOwnAddress: (address: string) => boolean;
  readonly agent: string;
  /** Streams that a session may open at once, as its listeners have it; operators are told. */
  readonly streams?: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What bounds a sign-in. */
export interface Bounds {
  /** Bytes that may come before it is done. */
  readonly bytes: number;
  readonly guest: Guest;
  readonly members: Members;
  readonly refusals: Refusals;
  readonly access: Pick<Access, "checkHolder" | "issuingTime" | "devices">;
  readonly audit: Pick<AuditLog, "check">;
}

/** Somebody who has proven who they are. */
export interface Admitted {
  readonly member: Principal;
  readonly instance: string;
  readonly control: MessageStream;
  /** What they open. */
  readonly streams: Pick<EarlyStreams, "forEach">;
  /** As it was shown, or issued just now. */
  readonly credential: string;
  /** A device's. */
  readonly epoch: string | undefined;
}

/** Milliseconds that a refused peer has to read why. */
const FAREWELL = 2_000;

/**
 * Runs the sign-in on a new session. Whoever fails it is told why and the session is closed; whoever
 * sends more than a sign-in takes is cut without a word.
 *
 * @throws {TunnelError} `refused`, `protocol`, `timeout`, `limit`, `reset`
 */
export async function admit(session: Session, gate: Gate, bounds: Bounds): Promise<Admitted> {
  const action = `sign in from ${session.remote.hostname}`;
  const { guest, members } = bounds;
  const streams = new EarlyStreams(session);
  let control: MessageStream | undefined;
  const greet = async (signal: AbortSignal): Promise<Admitted> => {
    control = new MessageStream(await session.openStream({ signal }));
    const nonce = newNonce();
    await control.send({ type: "challenge", versions: VERSIONS, nonce, agent: gate.agent });
    const signIn = await control.receive(SignInSchema, { action, limit: MAX_GREETING });
    if (control.received > bounds.bytes) throw tooMuch(action, bounds.bytes);
    guest.checkWelcome();
    // Nobody comes in unrecorded, and no join string is spent on a refusal.
    bounds.audit.check();
    checkVersion(signIn.version, action);
    const { member, credential } = signIn.type === "join"
      ? await enrol(signIn, nonce, gate, bounds, session)
      : await recognise(signIn, nonce, gate, bounds.access);
    const { instance, epoch } = signIn;
    const hasJoined = credential !== undefined;
    guest.keep(members.seat(member, instance, hasJoined));
    const principal = { role: member.role, name: member.name };
    // It may open streams as soon as it has read this.
    streams.allow();
    const isDevice = member.role === "device";
    const spread = isDevice ? spreadOf(bounds.access.devices) : undefined;
    const places = isDevice ? undefined : gate.streams;
    await control.send({ type: "welcome", principal, credential, spread, places });
    const shown = signIn.type === "auth" ? signIn.credential : credential!;
    return { member, instance, control, streams, credential: shown, epoch };
  };
  try {
    return await withDeadline(
      { action, timeout: guest.timeout },
      (signal) => Promise.race([greet(signal), streams.violated]),
    );
  } catch (cause) {
    const hasSentTooMuch = (control?.received ?? 0) > bounds.bytes;
    const error = hasSentTooMuch
      ? tooMuch(action, bounds.bytes)
      : toTunnelError(cause, action, "reset").during(action);
    if (hasSentTooMuch || streams.isViolated) {
      const limit = hasSentTooMuch ? "sign-in-bytes" : "sign-in-streams";
      bounds.refusals.count(limit, { from: session.remote.hostname });
      const code = hasSentTooMuch ? CloseCode.limit : CloseCode.protocol;
      session.close(closeInfo(code, error.parts.state));
    } else {
      await dismiss(session, control, error);
    }
    throw error;
  }
}

type Of<T extends SignIn["type"]> = Extract<SignIn, { type: T }>;

async function recognise(
  signIn: Of<"auth">,
  nonce: string,
  gate: Gate,
  access: Bounds["access"],
) {
  const { credential, proof } = signIn;
  const member = await gate.verifier.verify(credential, { now: gate.now(), expiryTolerance: 0 });
  await verifyProof(proof, {
    key: member.key,
    nonce,
    audience: gate.isOwnAddress,
    subject: credential,
  });
  access.checkHolder(member);
  return { member, credential: undefined };
}

async function enrol(
  signIn: Of<"join">,
  nonce: string,
  gate: Gate,
  { guest, access }: Bounds,
  session: Session,
) {
  const { key, agreement, secret, proof } = signIn;
  const { authority, store, now } = gate;
  if (!authority) throw cannotIssue();
  guest.checkJoin();
  // One instant for all of it: a revocation from then on covers the credential.
  const at = now();
  const { role, name, validity } = await redeem().catch((cause) => {
    if (cause instanceof TunnelError && cause.code === "refused") guest.joinFailed();
    throw cause;
  });
  const { token, principal } = await authority.issue({
    role,
    name,
    holder: key,
    agreement,
    ttl: validity ?? validityOf(gate, role),
    now: await access.issuingTime({ role, name }, at),
  });
  const member = {
    role,
    name,
    credentialId: principal.credentialId,
    keyThumbprint: await thumbprint(key),
    expiresAt: principal.expiresAt,
    at,
  };
  await store.recordMember(member, {
    at,
    type: "join",
    by: `${role}:${name}`,
    from: session.remote.hostname,
    [role]: name,
    detail: session.transport,
  });
  return { member: principal, credential: token };

  // The proof comes first: a secret is spent only on a key that its sender holds.
  async function redeem() {
    const subject = joinSubject(secret, agreement);
    await verifyProof(proof, { key, nonce, audience: gate.isOwnAddress, subject });
    return await store.redeemInvite(await hashSecret(secret), at);
  }
}

function checkVersion(version: number, action: string): void {
  if (VERSIONS.includes(version)) return;
  throw new TunnelError("protocol", {
    action,
    state: `it speaks version ${version}, this relay ${VERSIONS.join(", ")}`,
    remedy: "run versions that go together",
  });
}

function tooMuch(action: string, most: number): TunnelError {
  const state = `more than ${most} bytes came before the sign-in was done`;
  return new TunnelError("limit", { action, state });
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
