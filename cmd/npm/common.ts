/** What the npm package exports everywhere. */

export { Fleet, type FleetDialOptions, type FleetStream } from "../../core/member/fleet.ts";
export type { Credentials, FleetOptions, SessionOptions } from "../../core/member/open.ts";
export type { Invitation } from "../../core/member/invite.ts";
export type { DeviceChange } from "../../core/member/watch.ts";
export { type Identity, type MemberStore, parseIdentity } from "../../core/member/identity.ts";
export { type MemoryMemberStore, memoryStore } from "../../core/member/memory_store.ts";
export type { ByteStreams } from "../../core/streams.ts";
export { Admin, type AuditPage } from "../../core/admin.ts";
export type { OperatorInfo } from "../../core/admin_messages.ts";
export type { Target } from "../../core/allow.ts";
export type { DeviceInfo, Principal, WaitingDial } from "../../core/control.ts";
export type { NamedDial } from "../../core/decide.ts";
export { type ErrorCode, type ErrorParts, TunnelError } from "../../core/errors.ts";
export { type AgreementJwk, fingerprint, type PublicJwk } from "../../core/identity/keys.ts";
export { decodeJoin, encodeJoin, type Join } from "../../core/identity/join.ts";
export type { Log, LogFields } from "../../core/log.ts";
export type { AuditAnchor, AuditQuery, AuditRow } from "../../core/policy/audit.ts";
export type { Change } from "../../core/policy/change.ts";
export type { Grant } from "../../core/policy/grant.ts";
export type { AuditReport } from "../../core/store.ts";
