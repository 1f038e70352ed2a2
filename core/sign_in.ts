/** The client's half of a sign-in. */

import { Challenge, SignedIn, VERSIONS } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import type { AgreementJwk, PublicJwk } from "./identity/keys.ts";
import { joinSubject, makeProof } from "./identity/proof.ts";
import { Link } from "./link.ts";
import { endOf } from "./link_errors.ts";
import { MAX_GREETING } from "./message.ts";
import { fromRefusal } from "./refusal.ts";
import { CloseCode, type Session } from "./transport.ts";

/** Milliseconds for a sign-in. */
const SIGN_IN_TIMEOUT = 10_000;

/** How a member proves who it is. */
export interface CredentialClaim {
  readonly credential: string;
  readonly privateKey: CryptoKey;
}

/** How a client proves who it is: by a credential, or by a join string's secret for the first time. */
export type Claim =
  | CredentialClaim
  | {
    readonly secret: string;
    readonly publicKey: PublicJwk;
    readonly agreement: AgreementJwk;
    readonly privateKey: CryptoKey;
  };

export interface SignInOptions {
  readonly claim: Claim;
  /** The relay's `host:port` as it was dialled: the proof is good for that name alone. */
  readonly audience: string;
  /** Names this process among the sessions of its device; see {@linkcode newInstance}. */
  readonly instance: string;
  readonly agent: string;
  /** A device's; see `core/channel/freshness.ts`. */
  readonly epoch?: string;
  readonly signal?: AbortSignal;
}

/** A name for this process, 22 letters. */
export function newInstance(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 22);
}

/**
 * Signs in on a new session. The session is closed when that fails.
 *
 * @throws {TunnelError} `refused`, `protocol`, `timeout`, `reset`, `aborted`
 */
export async function signIn(session: Session, options: SignInOptions): Promise<Link> {
  const action = `sign in at ${options.audience}`;
  try {
    return await withDeadline(
      { action, timeout: SIGN_IN_TIMEOUT, signal: options.signal },
      () => greet(session, options, action),
    );
  } catch (cause) {
    const error = toTunnelError(cause, action, "reset");
    session.close({ code: CloseCode.done, reason: "" });
    throw error;
  }
}

async function greet(session: Session, options: SignInOptions, action: string): Promise<Link> {
  const { claim, audience, instance, agent, epoch } = options;
  const { value: stream, done } = await session.incoming.next();
  if (done) throw endOf(await session.closed, action);
  const control = new MessageStream(stream);
  const limit = MAX_GREETING;
  const challenge = await control.receive(Challenge, { action, limit });
  const version = VERSIONS.find((version) => challenge.versions.includes(version));
  if (version === undefined) {
    throw new TunnelError("protocol", {
      action,
      state: `the relay speaks version ${challenge.versions.join(", ")}, this end ${
        VERSIONS.join(", ")
      }`,
      remedy: "update the older of the two",
    });
  }
  const joining = "secret" in claim;
  const subject = joining ? joinSubject(claim.secret, claim.agreement) : claim.credential;
  const { nonce } = challenge;
  const proof = await makeProof({ privateKey: claim.privateKey, nonce, audience, subject });
  const greeting = { version, agent, instance, proof, epoch };
  await control.send(
    joining
      ? {
        type: "join",
        ...greeting,
        secret: claim.secret,
        key: claim.publicKey,
        agreement: claim.agreement,
      }
      : { type: "auth", ...greeting, credential: claim.credential },
  );
  const answer = await control.receive(SignedIn, { action, limit });
  if (answer.type === "refused") throw fromRefusal(answer, action);
  const { principal, credential, spread, places } = answer;
  return new Link(session, control, principal, credential, spread, places);
}
