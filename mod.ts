/**
 * Reach a device behind any firewall by its ID: the library, as Deno has it. The npm package
 * `@tunnel/tunnel` has the same for Node, and the operator's end for browsers.
 *
 * @example
 * ```ts
 * import { connect, fileStore } from "@tunnel/tunnel";
 *
 * await using fleet = await connect({ store: fileStore("./operator"), join: Deno.args[0] });
 * await using stream = await fleet.dial("x", 22);
 * ```
 *
 * @module
 */

// For who has a fleet: an operator's program, a device's program, and what they keep.
export { connect, serve } from "./transports/runtime/deno.ts";
export { Fleet, type FleetDialOptions, type FleetStream } from "./core/member/fleet.ts";
export { DeviceServer } from "./core/member/device_server.ts";
export type {
  Credentials,
  FleetOptions,
  ServeOptions,
  SessionOptions,
} from "./core/member/open.ts";
export type { Invitation } from "./core/member/invite.ts";
export type { DeviceChange } from "./core/member/watch.ts";
export type {
  Accepted,
  DialAcceptor,
  DialHandler,
  DialRequest,
  ServedStream,
} from "./core/accept.ts";
export type { ByteStreams } from "./core/streams.ts";
export { type HttpHandler, httpHandler } from "./transports/runtime/http.ts";
export { type Identity, type MemberStore, parseIdentity } from "./core/member/identity.ts";
export { type MemoryMemberStore, memoryStore } from "./core/member/memory_store.ts";
export { fileStore } from "./stores/file_store.ts";
export { Admin, type AuditPage } from "./core/admin.ts";
export type { OperatorInfo } from "./core/admin_messages.ts";
export type { Target } from "./core/allow.ts";
export type { DeviceInfo, Principal, WaitingDial } from "./core/control.ts";
export type { NamedDial } from "./core/decide.ts";
export { type ErrorCode, type ErrorParts, TunnelError } from "./core/errors.ts";
export { type AgreementJwk, fingerprint, type PublicJwk } from "./core/identity/keys.ts";
export { decodeJoin, encodeJoin, type Join } from "./core/identity/join.ts";
export type { Log, LogFields } from "./core/log.ts";
export type { AuditAnchor, AuditQuery, AuditRow } from "./core/policy/audit.ts";
export type { Change } from "./core/policy/change.ts";
export type { Grant } from "./core/policy/grant.ts";
export type { AuditReport } from "./core/store.ts";

// For who embeds a part of the engine: a relay in the own process, a transport or a store of one's
// own, members that are put together otherwise.
export { Relay, type RelayLimits, type RelayOptions } from "./core/relay/relay.ts";
export type { MayApprove } from "./core/relay/approvals.ts";
export type { Store } from "./core/store.ts";
export { Authority, type Role, Verifier } from "./core/identity/credential.ts";
export {
  type CredentialRequest,
  keysFingerprint,
  makeRequest,
  readRequest,
} from "./core/identity/request.ts";
export { decodeSigned, encodeSigned, type Signed } from "./core/identity/signed.ts";
export { exportPublicKey, generateAgreementKey, generateKeyPair } from "./core/identity/keys.ts";
export type { PrivateAgreementJwk } from "./core/identity/keys.ts";
export {
  generateMemberKeys,
  type JwkKeys,
  type KeyForm,
  type MemberKeys,
  Membership,
  type MemberState,
  publicKeysOf,
  type SealedKeys,
} from "./core/membership.ts";
export { Renewal, type RenewalOptions } from "./core/renewal.ts";
export { Device, type DeviceOptions, type TargetConnector } from "./core/device.ts";
export type { ApprovalOptions, PendingDial } from "./core/approval.ts";
export { askOperators } from "./core/ask_operators.ts";
export { DEFAULT_ALLOW, formatTarget } from "./core/allow.ts";
export { Dialer, type DialerOptions, type DialOptions } from "./core/dialer.ts";
export type { LinkSource } from "./core/places.ts";
export { decideDial, waitingDials } from "./core/decide.ts";
export {
  type EndpointOptions,
  openLink,
  type SessionConnector,
  superviseEndpoint,
} from "./core/endpoint.ts";
export { Supervisor, type SupervisorOptions } from "./core/supervisor.ts";
export type { Link } from "./core/link.ts";
export type { Claim } from "./core/sign_in.ts";
export { Channel, type ChannelOptions } from "./core/channel/channel.ts";
export type { ChannelIdentity } from "./core/channel/handshake.ts";
export { StaticKey } from "./core/noise/static_key.ts";
export { type Duplex, join, type Transferred } from "./core/duplex.ts";
export { type Metric, Metrics, type Sample } from "./core/metrics.ts";
export type { Rate } from "./core/bucket.ts";
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
