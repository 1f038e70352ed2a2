/** What the test has the packed package do in a page. */

import {
  connect,
  type DeviceChange,
  type Fleet,
  indexedDbStore,
  TunnelError,
} from "@tunnel/tunnel/browser";

/** Joins, sends so many bytes there and back with a half-close, and says how that went. */
export async function echo(join: string, port: number, total: number) {
  const fleet = await connect({ store: indexedDbStore(), join });
  const stream = await fleet.dial("x", port);
  const began = performance.now();
  const sending = (async () => {
    const writer = stream.writable.getWriter();
    for (let at = 0; at < total;) {
      const size = Math.min(65_536, total - at);
      await writer.write(sequence(at, size));
      at += size;
    }
    await writer.close();
  })();
  let got = 0;
  let differs = 0;
  for await (const chunk of stream.readable) {
    const expected = sequence(got, chunk.length);
    differs += chunk.some((byte, i) => byte !== expected[i]) ? 1 : 0;
    got += chunk.length;
  }
  await sending;
  await stream.closed;
  const { transport } = fleet;
  await fleet.close();
  return { got, differs, transport, ms: performance.now() - began };
}

/** Signs in by what the page has kept, and lists. */
export async function list() {
  const fleet = await connect({ store: indexedDbStore() });
  const devices = await fleet.devices();
  await fleet.close();
  return devices.map(({ id, online }) => ({ id, online }));
}

let watching: { fleet: Fleet; changes: AsyncGenerator<DeviceChange, void, void> } | undefined;

/** Begins to watch: the first change. */
export async function watch() {
  const fleet = await connect({ store: indexedDbStore() });
  watching = { fleet, changes: fleet.watch() };
  return await nextChange();
}

/** The next change that is not of figures alone. */
export async function nextChange(): Promise<string> {
  for (;;) {
    const { type, device } = (await watching!.changes.next()).value!;
    if (type !== "changed") return `${type} ${device.id}`;
  }
}

/** Leaves the watch and the fleet. */
export async function unwatch() {
  await watching!.changes.return();
  await watching!.fleet.close();
}

/** Whether any of the kept private keys can be read. */
export async function canExport() {
  const identity = await indexedDbStore().load("operator");
  const pairs = [identity!.privateKey, identity!.agreementKey] as CryptoKeyPair[];
  const results = await Promise.allSettled(
    pairs.map(({ privateKey }) => crypto.subtle.exportKey("jwk", privateKey)),
  );
  return results.map(({ status }) => status);
}

/** Whether a new credential takes the place of the one that it follows, and of no other. */
export async function replace() {
  const store = indexedDbStore();
  const identity = (await store.load("operator"))!;
  const next = { ...identity, credential: "new" };
  const results = [
    await store.replace(identity, "another", next),
    await store.replace(identity, identity.credential, next),
  ];
  const { credential, name } = (await store.load("operator"))!;
  return [...results, credential === "new", name, await store.load("device", "x") === undefined];
}

/** What a spent join string comes to. */
export async function rejoin(join: string) {
  try {
    await connect({ store: indexedDbStore("another"), join });
    return "joined";
  } catch (cause) {
    return cause instanceof TunnelError ? cause.code : String(cause);
  }
}

const PATTERN = crypto.getRandomValues(new Uint8Array(65_521));

/** Bytes that their position tells; they come again after a prime number of them. */
function sequence(at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const part = PATTERN.subarray((at + done) % PATTERN.length);
    const taken = part.subarray(0, length - done);
    bytes.set(taken, done);
    done += taken.length;
  }
  return bytes;
}
