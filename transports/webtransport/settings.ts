/** SETTINGS (RFC 9114, section 7.2.4): what this end says, and what it looks at of the peer's. */

import { concat } from "../../core/bytes.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { MAX_SECTION } from "./qpack.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/** Bytes of a SETTINGS frame that are taken. */
export const MAX_SETTINGS = 4 * 1024;

/** Identifiers. WebTransport's changed with its drafts, and each peer looks for that of its own. */
export const Setting = {
  qpackMaxTableCapacity: 0x01,
  maxFieldSectionSize: 0x06,
  qpackBlockedStreams: 0x07,
  enableConnectProtocol: 0x08,
  h3Datagram: 0x33,
  /** draft-02 to draft-06: Chromium. */
  enableWebTransport: 0x2b603742,
  /** draft-07 to draft-12. */
  webTransportMaxSessions: 0xc671706a,
  /** draft-13 and draft-14. */
  wtMaxSessions: 0x14e9cd29,
  /** From draft-15. */
  wtEnabled: 0x2c7cf000,
} as const;

/** Of each identifier its value; unknown ones included. */
export type Settings = ReadonlyMap<bigint, bigint>;

/** HTTP/2's, which have no meaning here and must not come (RFC 9114, section 7.2.4.1). */
const RESERVED = [0x00n, 0x02n, 0x03n, 0x04n, 0x05n];
/** Those that are 0 or 1 (RFC 9220, section 3; RFC 9297, section 2.1.1). */
const BOOLEAN = [Setting.enableConnectProtocol, Setting.h3Datagram].map(BigInt);
const WEBTRANSPORT = [
  Setting.enableWebTransport,
  Setting.webTransportMaxSessions,
  Setting.wtMaxSessions,
  Setting.wtEnabled,
];

/** This end's: no dynamic table, extended CONNECT, datagrams, one session for a connection. */
export function ownSettings(): Settings {
  const own: [number, number][] = [
    [Setting.qpackMaxTableCapacity, 0],
    [Setting.maxFieldSectionSize, MAX_SECTION],
    [Setting.qpackBlockedStreams, 0],
    [Setting.enableConnectProtocol, 1],
    [Setting.h3Datagram, 1],
  ];
  for (const id of WEBTRANSPORT) own.push([id, 1]);
  return new Map(own.map(([id, value]) => [BigInt(id), BigInt(value)]));
}

/** Whether a server that says this takes sessions, of whatever draft. */
export function offersWebTransport(settings: Settings): boolean {
  const has = (id: number) => (settings.get(BigInt(id)) ?? 0n) > 0n;
  return has(Setting.enableConnectProtocol) && has(Setting.h3Datagram) && WEBTRANSPORT.some(has);
}

/** The payload of a SETTINGS frame. */
export function encodeSettings(settings: Settings): Uint8Array<ArrayBuffer> {
  return concat([...settings].flat().map(encodeVarint));
}

/** @throws {Http3Error} when the payload is malformed or breaks a rule */
export function decodeSettings(payload: Uint8Array): Settings {
  const settings = new Map<bigint, bigint>();
  for (let at = 0; at < payload.length;) {
    const id = decodeVarint(payload, at);
    const value = id && decodeVarint(payload, id.end);
    if (!value) throw new Http3Error(Http3Code.frameError, "SETTINGS are cut off");
    if (settings.has(id.value)) throw violation("one comes twice");
    if (RESERVED.includes(id.value)) throw violation(`${id.value} is reserved`);
    if (BOOLEAN.includes(id.value) && value.value > 1n) {
      throw violation(`${id.value} is ${value.value}`);
    }
    settings.set(id.value, value.value);
    at = value.end;
  }
  return settings;
}

function violation(state: string): Http3Error {
  return new Http3Error(Http3Code.settingsError, `SETTINGS: ${state}`);
}
