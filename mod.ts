/** The library's public exports, and nothing else. */

export { Admin, type AuditPage } from "./core/admin.ts";
export type { OperatorInfo } from "./core/admin_messages.ts";
export { DEFAULT_ALLOW, formatTarget, type Target } from "./core/allow.ts";
export type { ApprovalOptions, PendingDial } from "./core/approval.ts";
export { askOperators } from "./core/ask_operators.ts";
export { Channel, type ChannelOptions } from "./core/channel/channel.ts";
export type { DeviceInfo, Principal, WaitingDial } from "./core/control.ts";
export type { ChannelIdentity } from "./core/channel/handshake.ts";
export { decideDial, type NamedDial, waitingDials } from "./core/decide.ts";
export { Device, type DeviceOptions, type TargetConnector } from "./core/device.ts";
export { Dialer, type DialerOptions, type DialOptions, type LinkSource } from "./core/dialer.ts";
export { type Duplex, join, type Transferred } from "./core/duplex.ts";
export {
  type EndpointOptions,
  openLink,
  type SessionConnector,
  superviseEndpoint,
} from "./core/endpoint.ts";
export { type ErrorCode, type ErrorParts, TunnelError } from "./core/errors.ts";
export type { Rate } from "./core/bucket.ts";
export { Authority, type Role, Verifier } from "./core/identity/credential.ts";
export { decodeJoin, encodeJoin, type Join } from "./core/identity/join.ts";
export {
  type CredentialRequest,
  keysFingerprint,
  makeRequest,
  readRequest,
} from "./core/identity/request.ts";
export { decodeSigned, encodeSigned, type Signed } from "./core/identity/signed.ts";
export {
  type AgreementJwk,
  exportPublicKey,
  fingerprint,
  generateAgreementKey,
  generateKeyPair,
  type PrivateAgreementJwk,
  type PublicJwk,
} from "./core/identity/keys.ts";
export type { Link } from "./core/link.ts";
export type { Claim } from "./core/sign_in.ts";
export type { Log, LogFields } from "./core/log.ts";
export {
  generateMemberKeys,
  type MemberKeys,
  Membership,
  type MemberState,
  publicKeysOf,
} from "./core/membership.ts";
export { type Metric, Metrics, type Sample } from "./core/metrics.ts";
export { StaticKey } from "./core/noise/static_key.ts";
export type { MayApprove } from "./core/relay/approvals.ts";
export type { AuditAnchor, AuditQuery, AuditRow } from "./core/policy/audit.ts";
export type { Change } from "./core/policy/change.ts";
export type { Grant } from "./core/policy/grant.ts";
export { Renewal, type RenewalOptions } from "./core/renewal.ts";
export { Relay, type RelayLimits, type RelayOptions } from "./core/relay/relay.ts";
export type { AuditReport, Store } from "./core/store.ts";
export { Supervisor, type SupervisorOptions } from "./core/supervisor.ts";
export type {
  ConnectOptions,
  Incoming,
  Limits,
  Listener,
  ListenOptions,
  Session,
  Stream,
  Transport,
} from "./core/transport.ts";
export { Connector, type ConnectorOptions } from "./transports/connector.ts";
export { memoryPair, memoryTransport } from "./transports/memory.ts";
export { quic } from "./transports/quic.ts";
export { connectTcp, listenTcp, type TcpListener } from "./transports/tcp/tcp.ts";
export { websocket } from "./transports/websocket/transport.ts";
