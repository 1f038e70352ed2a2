/** How a session is told of. */

import type { Principal } from "../identity/credential.ts";
import type { AuditEvent } from "../policy/audit.ts";
import type { Session } from "../transport.ts";

/** In the log. */
export function factsOf({ role, name }: Principal, { transport, remote }: Session) {
  return { [role]: name, via: transport, from: remote.hostname };
}

/** In the audit trail, when it begins and when it ends. */
export function sessionEvent(
  type: "sign-in" | "sign-out",
  { role, name }: Principal,
  { remote, transport }: Session,
): Omit<AuditEvent, "at"> {
  const by = `${role}:${name}`;
  return { type, by, from: remote.hostname, [role]: name, detail: transport };
}
