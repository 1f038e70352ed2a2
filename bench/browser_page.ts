/** What bench/browser.ts runs in a page: it is bundled, and put into one. */

import { Dialer } from "../core/dialer.ts";
import { openLink } from "../core/endpoint.ts";
import { Verifier } from "../core/identity/credential.ts";
import { decodeJoin } from "../core/identity/join.ts";
import { importPrivateKey } from "../core/identity/keys.ts";
import { generateMemberKeys, Membership, publicKeysOf } from "../core/membership.ts";
import { type PlatformConstructor, webtransport } from "../transports/webtransport/platform.ts";
import { loadSodium } from "../core/noise/sodium_cipher.ts";
import { nobleSuite } from "../core/noise/noble_suite.ts";
import { encodeOrder, Order } from "./target.ts";

const { WebTransport } = globalThis as unknown as { WebTransport: PlatformConstructor };
const BLOCK = 64 * 1024;

type OrderName = "take" | "give";

let bare: InstanceType<PlatformConstructor>;
let dial: () => Promise<Duplex>;

interface Duplex {
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** A session with a server that obeys orders on each stream, and nothing else. */
export async function connectBare(host: string, hash: readonly number[]): Promise<void> {
  const value = Uint8Array.from(hash);
  const serverCertificateHashes = [{ algorithm: "sha-256", value }];
  bare = new WebTransport(`https://${host}/tunnel`, { serverCertificateHashes });
  await bare.ready;
}

/** Joins, and dials a target that obeys orders behind the device. */
export async function connectTunnel(text: string, hash: readonly number[], port: number) {
  const { relay, root, role, name, secret, authority } = decodeJoin(text);
  const certificateHashes = () => Promise.resolve([Uint8Array.from(hash)]);
  const transport = webtransport({ WebTransport, certificateHashes });
  const connector = {
    connect: (url: URL, signal?: AbortSignal) =>
      transport.connect(url, { signal, caCerts: root ? [root] : [] }),
    improve: () => Promise.resolve(undefined),
  };
  const keys = await generateMemberKeys();
  const { key: publicKey, agreement } = await publicKeysOf(keys);
  const privateKey = await importPrivateKey(keys.privateKey);
  const claim = { secret, publicKey, agreement, privateKey };
  const link = await openLink({ relay: new URL(relay), claim, connector, agent: "bench" });
  const identity = await Membership.of({ credential: link.credential!, ...keys });
  const dialer = new Dialer({
    links: { link: () => Promise.resolve(link) },
    identity,
    verifier: new Verifier(authority),
  });
  dial = async () => {
    const channel = await dialer.dial("x", { host: "127.0.0.1", port });
    return {
      read: () => channel.read(),
      write: (bytes) => channel.write(bytes),
      end: () => channel.closeWrite(),
    };
  };
  return { role, name };
}

/** Megabytes per second, one stream. */
export async function measure(
  what: "bare" | "tunnel",
  order: OrderName,
  bytes: number,
): Promise<number> {
  const stream = what === "bare" ? await openBare() : await dial();
  const head = encodeOrder(Order[order], bytes);
  const began = performance.now();
  await stream.write(head);
  if (order === "take") {
    const block = new Uint8Array(BLOCK);
    for (let left = bytes; left > 0; left -= BLOCK) {
      await stream.write(block.subarray(0, Math.min(left, BLOCK)));
    }
    await stream.read();
  } else {
    for (let left = bytes; left > 0;) left -= (await stream.read())!.length;
  }
  const seconds = (performance.now() - began) / 1_000;
  await stream.end();
  return bytes / 1e6 / seconds;
}

/** Megabytes per second of what could seal records in a page, records of the largest size. */
export async function ciphers(): Promise<[name: string, rate: number][]> {
  const [key, nonce, ad] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)];
  const record = new Uint8Array(128 * 1024);
  const rate = async (seal: () => unknown) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const began = performance.now();
      for (let i = 0; i < 40; i++) await seal();
      times.push(performance.now() - began);
    }
    return 40 * record.length / 1_000 / Math.min(...times);
  };
  const sodium = (await loadSodium())!;
  const subtle = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  return [
    ["libsodium", await rate(() => sodium.seal(key, nonce, ad, record))],
    ["JavaScript", await rate(() => nobleSuite.seal(key, nonce, ad, record))],
    [
      "WebCrypto's AES-GCM",
      await rate(() => crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, subtle, record)),
    ],
  ];
}

async function openBare(): Promise<Duplex> {
  const { readable, writable } = await bare.createBidirectionalStream();
  const reader = readable.getReader();
  const writer = writable.getWriter();
  return {
    read: async () => (await reader.read()).value ?? null,
    write: (bytes) => writer.write(bytes.slice()),
    end: () => writer.close(),
  };
}
