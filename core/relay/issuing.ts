/** What a relay issues credentials by, and to whom. */

import { TunnelError } from "../errors.ts";
import {
  type Authority,
  DEVICE_VALIDITY,
  OPERATOR_VALIDITY,
  type Principal,
  type Role,
} from "../identity/credential.ts";

export interface Issuing {
  /** Signs new members' credentials and renews them; without it neither can be had here. */
  readonly authority?: Authority;
  /** Milliseconds that new credentials are valid; default 30 days for devices, 12 h for operators. */
  readonly validity?: Partial<Record<Role, number>>;
  /** Whether a member's credential is renewed when it asks; default: devices' are, operators' not. */
  readonly mayRenew?: (member: Principal) => boolean | Promise<boolean>;
  /** Whether a member gets nothing any more; default: none is revoked. */
  readonly isRevoked?: (member: Principal) => boolean | Promise<boolean>;
}

/** Milliseconds that a relay's new credentials for a role are valid. */
export function validityOf({ validity }: Issuing, role: Role): number {
  return validity?.[role] ?? (role === "device" ? DEVICE_VALIDITY : OPERATOR_VALIDITY);
}

/** The refusal of a relay that holds the authority's public key alone. */
export function cannotIssue(member?: { role: Role; name: string }): TunnelError {
  const who = member ? `${member.role} ${member.name}` : "device ID";
  return new TunnelError("refused", {
    action: "issue a credential",
    state: "this relay holds the authority's public key alone, so it cannot issue credentials",
    remedy:
      `make a request with \`tunnel request ${who}\` and have it signed where the authority ` +
      "is: `tunnel authority sign`",
  });
}
