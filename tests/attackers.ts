/**
 * Attackers of one relay, as many as are asked for, on loopback: a process of its own, so that what they
 * cost is theirs. Prints `attacking` once each has begun, and what they did when stdin ends.
 *
 * Each does one thing again and again: it says nothing, stops half-way through a handshake, sends
 * garbage, opens streams and stalls, floods with datagrams, or guesses a join string. One half share
 * an address, the others have one each.
 */

import { connect as connectTcp, type Socket } from "node:net";
import { concat } from "../core/bytes.ts";
import { MessageStream } from "../core/control_stream.ts";
import { Challenge, SignedIn } from "../core/control.ts";
import { delay } from "../core/deadline.ts";
import { newSecret } from "../core/identity/join.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
} from "../core/identity/keys.ts";
import { joinSubject, makeProof } from "../core/identity/proof.ts";
import type { Stream } from "../core/transport.ts";
import { ALPN } from "../transports/quic.ts";
import { websocket } from "../transports/websocket/transport.ts";
import { openSession } from "../transports/webtransport/client.ts";
import { FrameType } from "../transports/webtransport/frame.ts";
import { ALPN as HTTP3 } from "../transports/webtransport/transport.ts";
import { encodeVarint } from "../transports/webtransport/varint.ts";
import { Random } from "./random.ts";

/** What the process is told, as JSON in ATTACK. */
export interface AttackOrder {
  /** `host:port` of the relay. */
  readonly relay: string;
  readonly root: string;
  readonly attackers: number;
  readonly seed: number;
}

/** How often each thing was begun, by its name. */
export type AttackReport = Record<string, number>;

/** Milliseconds that one go lasts at most. */
const PATIENCE = 12_000;
/** Milliseconds that an attacker rests after it, to twice as many. */
const REST = 4_000;
/** Streams that one attacker opens in a go, and bytes that it sends on each; packets of a flood. */
const STREAMS = 100;
const STALL = 4 * 1024;
const PACKETS = 100;
/** Bytes of garbage. */
const GARBAGE = 64 * 1024;

interface Attacker {
  readonly from: string;
  readonly random: Random;
  readonly hostname: string;
  readonly port: number;
  readonly root: string;
  /** The first packet of a handshake, once it has been seen. */
  initial?: Uint8Array;
}

/** One go; rejects when the relay has had enough of it. */
type Attack = (attacker: Attacker) => Promise<void>;

const ATTACKS: Readonly<Record<string, Attack>> = {
  "quic silent": (attacker) => overQuic(attacker, async (conn) => void await conn.closed),
  "quic half-open": halfOpen,
  "quic garbage": (attacker) =>
    overQuic(attacker, async (conn) => {
      const stream = await accept(conn);
      await stream.writable.getWriter().write(attacker.random.bytes(GARBAGE));
      await conn.closed;
    }),
  "quic streams": (attacker) =>
    overQuic(attacker, async (conn) => {
      const stall = async () => {
        const stream = await conn.createBidirectionalStream({ waitUntilAvailable: true });
        await stream.writable.getWriter().write(new Uint8Array(STALL));
        await conn.closed;
      };
      await Promise.all(Array.from({ length: STREAMS }, stall));
    }),
  "quic datagrams": (attacker) =>
    overQuic(attacker, async (conn) => {
      for (let i = 0; i < PACKETS; i++) await conn.sendDatagram(new Uint8Array(1_000));
      await conn.closed;
    }),
  "quic guess": (attacker) =>
    overQuic(attacker, async (conn) => {
      await guess(await accept(conn), attacker);
      await conn.closed;
    }),
  "http3 silent": (attacker) => overQuic(attacker, async (conn) => void await conn.closed, HTTP3),
  "http3 streams": (attacker) =>
    overQuic(attacker, async (conn) => {
      // They say that they are of a session that never comes.
      const early = concat([encodeVarint(FrameType.webTransport), encodeVarint(0)]);
      const stall = async () => {
        const stream = await conn.createBidirectionalStream({ waitUntilAvailable: true });
        await stream.writable.getWriter().write(concat([early, new Uint8Array(STALL)]));
        await conn.closed;
      };
      await Promise.all(Array.from({ length: STREAMS }, stall));
    }, HTTP3),
  "http3 datagrams": (attacker) =>
    overQuic(attacker, async (conn) => {
      for (let i = 0; i < PACKETS; i++) await conn.sendDatagram(new Uint8Array(1_000));
      await conn.closed;
    }, HTTP3),
  "webtransport streams": (attacker) =>
    overQuic(attacker, async (conn) => {
      const session = await openSession(conn, { authority: attacker.hostname });
      const stall = async () => {
        await (await session.openStream()).writable.getWriter().write(new Uint8Array(STALL));
        await session.closed;
      };
      await Promise.all(Array.from({ length: STREAMS }, stall));
    }, HTTP3),
  "udp garbage": async ({ from, random, hostname, port }) => {
    const socket = Deno.listenDatagram({ hostname: from, port: 0, transport: "udp" });
    try {
      for (let i = 0; i < PACKETS; i++) {
        await socket.send(random.bytes(1_200), { transport: "udp", hostname, port });
        await delay(10);
      }
    } finally {
      socket.close();
    }
  },
  "tcp silent": (attacker) => overTcp(attacker, () => {}),
  "tcp garbage": (attacker) =>
    overTcp(attacker, (socket) => void socket.write(attacker.random.bytes(GARBAGE))),
  "websocket silent": (attacker) => overWebSocket(attacker, async () => {}),
  "websocket streams": (attacker) =>
    overWebSocket(attacker, async (_, open) => {
      const stall = async () => {
        await (await open()).writable.getWriter().write(new Uint8Array(STALL));
      };
      await Promise.all(Array.from({ length: STREAMS }, stall));
    }),
  "websocket guess": (attacker) => overWebSocket(attacker, (control) => guess(control, attacker)),
};

if (import.meta.main) await main(JSON.parse(Deno.env.get("ATTACK")!));

async function main({ relay, root, attackers, seed }: AttackOrder): Promise<void> {
  const names = Object.keys(ATTACKS);
  const report: AttackReport = Object.fromEntries(names.map((name) => [name, 0]));
  const stop = new AbortController();
  const [hostname, port] = [relay.slice(0, relay.lastIndexOf(":")), relay.split(":").at(-1)];
  const begun = Array.from({ length: attackers }, async (_, i) => {
    const random = new Random(seed + i);
    const name = names[i % names.length]!;
    const isShared = Math.floor(i / names.length) % 2 === 0;
    const from = isShared ? "127.9.9.9" : `127.1.${i >> 8}.${i & 0xff}`;
    const attacker: Attacker = { from, random, hostname: hostname!, port: Number(port), root };
    // They come one after another, as those of a botnet would, not in the same millisecond.
    await delay(i * 3, stop.signal);
    run(ATTACKS[name]!, attacker, stop.signal, () => report[name]!++);
  });
  await Promise.all(begun);
  console.log("attacking");
  for await (const _ of Deno.stdin.readable) { /* Its end is what is waited for. */ }
  stop.abort();
  console.log(JSON.stringify(report));
  Deno.exit(0);
}

async function run(attack: Attack, attacker: Attacker, stop: AbortSignal, count: () => void) {
  while (!stop.aborted) {
    count();
    const over = new AbortController();
    const going = attack(attacker).catch(() => {}); // Being thrown out is what attackers live with.
    await Promise.race([going, delay(PATIENCE, AbortSignal.any([stop, over.signal]))]);
    over.abort();
    await delay(REST + attacker.random.below(REST), stop);
  }
}

async function overQuic(
  { from, hostname, port, root }: Attacker,
  work: (conn: Deno.QuicConn) => Promise<void>,
  alpn = ALPN,
): Promise<void> {
  const endpoint = new Deno.QuicEndpoint({ hostname: from, port: 0 });
  try {
    const conn = await Deno.connectQuic({
      hostname,
      port,
      endpoint,
      alpnProtocols: [alpn],
      caCerts: [root],
      maxIdleTimeout: PATIENCE,
      keepAliveInterval: 2_000,
    });
    const late = setTimeout(() => conn.close(), PATIENCE);
    conn.closed.catch(() => {}).finally(() => clearTimeout(late));
    await work(conn);
  } finally {
    endpoint.close();
  }
}

/** Sends the first packet of a handshake, again and again, and does not hear the answers. */
async function halfOpen(attacker: Attacker): Promise<void> {
  const { from, hostname, port } = attacker;
  attacker.initial ??= await firstPacket(attacker);
  const socket = Deno.listenDatagram({ hostname: from, port: 0, transport: "udp" });
  await socket.send(attacker.initial, { transport: "udp", hostname, port });
  socket.close();
}

/** What a client sends first, caught where it finds nobody. */
async function firstPacket({ from, hostname, root }: Attacker): Promise<Uint8Array> {
  const hole = Deno.listenDatagram({ hostname: from, port: 0, transport: "udp" });
  const endpoint = new Deno.QuicEndpoint({ hostname: from, port: 0 });
  try {
    const connecting: Promise<Deno.QuicConn> = Deno.connectQuic<false>({
      hostname: from,
      port: (hole.addr as Deno.NetAddr).port,
      serverName: hostname,
      endpoint,
      alpnProtocols: [ALPN],
      caCerts: [root],
    });
    connecting.catch(() => {}); // It never can connect.
    const [packet] = await hole.receive();
    return packet.slice();
  } finally {
    hole.close();
    endpoint.close();
  }
}

function overTcp(
  { from, hostname, port }: Attacker,
  work: (socket: Socket) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: hostname, port, localAddress: from }, () => work(socket));
    socket.setTimeout(PATIENCE, () => socket.destroy());
    socket.on("error", () => {}); // Its close follows.
    socket.on("close", () => resolve());
  });
}

/** Through the library, and so from the relay's own address. */
async function overWebSocket(
  { hostname, port, root }: Attacker,
  work: (control: Stream, open: () => Promise<Stream>) => Promise<void>,
): Promise<void> {
  const url = new URL(`tunnel://${hostname}:${port}`);
  await using session = await websocket.connect(url, { caCerts: [root] });
  const { value } = await session.incoming.next();
  const late = setTimeout(() => session.close(), PATIENCE);
  try {
    if (value) await work(value, () => session.openStream());
    await session.closed;
  } finally {
    clearTimeout(late);
  }
}

async function accept(conn: Deno.QuicConn): Promise<Stream> {
  const { value } = await conn.incomingBidirectionalStreams.getReader().read();
  if (!value) throw new Error("the relay opened no stream");
  return value;
}

/** Joins with a secret that nobody gave out. */
async function guess(stream: Stream, { hostname, port }: Attacker): Promise<void> {
  const control = new MessageStream(stream);
  const { nonce } = await control.receive(Challenge, { action: "guess" });
  const { publicKey, privateKey } = await generateKeyPair();
  const agreement = parseAgreementJwk(await generateAgreementKey());
  const secret = newSecret();
  const audience = `${hostname}:${port}`;
  const subject = joinSubject(secret, agreement);
  const proof = await makeProof({ privateKey, nonce, audience, subject });
  const key = await exportPublicKey(publicKey);
  const greeting = { version: 1, agent: "attacker", instance: "attacker", proof };
  await control.send({ type: "join", ...greeting, secret, key, agreement });
  const answer = await control.receive(SignedIn, { action: "guess" });
  if (answer.type === "welcome") throw new Error("a guess was right");
}
