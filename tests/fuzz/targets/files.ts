/** Files that a home keeps, damaged in every way: identities, keys, pins, certificates. */

import { encodeJoin } from "../../../core/identity/join.ts";
import {
  certificateNames,
  developmentCertificate,
  expiry,
  matchesName,
  rootOfChain,
} from "../../../stores/certificate.ts";
import { writePrivate } from "../../../stores/files.ts";
import { Home } from "../../../stores/home.ts";
import { bytes } from "../../text.ts";
import { attempt, must, same } from "../expect.ts";
import { AUTHORITY, authority, HOLDER } from "../fleet_keys.ts";
import { mutate } from "../mutate.ts";
import { mutateJson, mutateText } from "../mutate_text.ts";
import type { Target } from "../target.ts";

const AGREEMENT = {
  kty: "OKP",
  crv: "X25519",
  x: "NYBy1jZYgNGu6jka35EhODhR7SGijjt16WXQ0s0WYlQ",
  d: "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM",
};
const SECRETS = [HOLDER.d, AUTHORITY.d, AGREEMENT.d];

const dir = await Deno.makeTempDir({ prefix: "tunnel-fuzz-" });
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const home = new Home(dir);
const pair = await developmentCertificate(home.tlsPath, { names: ["relay.example.com", "::1"] });

const FILES: object[] = [
  {
    role: "device",
    name: "x",
    relay: "tunnel://relay:443",
    authority: authority.publicJwk,
    credential: "a.b.c",
    privateKey: HOLDER,
    agreementKey: AGREEMENT,
  },
  AUTHORITY,
  { url: "tunnel://relay:443", local: "tunnel://127.0.0.1:443" },
  { "relay:443": { transport: "quic", at: 1 } },
  { x: "SHA256:a", constructor: "SHA256:b" },
];

/** What any file of a home may hold. */
const homes: Target = {
  name: "home",
  iterations: 150,
  make(random) {
    const text = bytes(mutateJson(random.pick(FILES), random));
    return random.below(4) === 0 ? mutate(text, random) : text;
  },
  async check(input) {
    const paths = ["devices/x.json", "relay/authority.jwk", "relay/endpoint.json"];
    for (const path of [...paths, "transports.json", "pins.json"]) {
      // The folder is there once anything was written as the program does.
      if (!folders) await writePrivate(`${dir}/${path}`, "");
      Deno.writeFileSync(`${dir}/${path}`, input);
    }
    folders = true;
    const read = <T>(work: () => Promise<T>) => attempt(work, ["unavailable", "usage"], SECRETS);
    const identity = await read(() => home.members.read("device", "x"));
    await read(() => home.authority());
    await read(() => home.relayEndpoint());
    await read(() => home.transports());
    if ("value" in identity) {
      await home.members.save({ ...identity.value!.value, role: "device", name: "x" });
      const again = await home.members.read("device", "x");
      same(again!.value, { ...identity.value!.value, role: "device", name: "x" }, "saved and read");
    }
    const pinned = await read(() => home.pin("constructor", "SHA256:new"));
    if ("error" in pinned) return;
    must(typeof pinned.value === "string", "a pin is a text");
    same(await home.pin("constructor", "SHA256:newer"), pinned.value, "a key that is pinned");
  },
};
let folders = false;

const PEMS = [pair.cert, pair.root, pair.key + pair.cert];

const certificates: Target = {
  name: "certificate",
  iterations: 400,
  make(random) {
    const text = random.pick(PEMS);
    if (random.below(2) === 0) return bytes(mutateText(text, random, PEMS));
    // Altered inside, so that it is PEM and no certificate.
    const der = Uint8Array.from(atob(/-----BEGIN CERTIFICATE-----([^-]*)/.exec(text)![1]!), unit);
    const altered = mutate(der, random);
    return bytes(`-----BEGIN CERTIFICATE-----\n${altered.toBase64()}\n-----END CERTIFICATE-----\n`);
  },
  async check(input) {
    const text = new TextDecoder().decode(input);
    const key = pair.key.split("\n")[1]!;
    const read = <T>(work: () => T) => attempt(work, ["usage"], [key]);
    const names = await read(() => certificateNames(text));
    if ("value" in names) matchesName(names.value, "relay.example.com");
    await read(() => expiry(text));
    const root = await read(() => rootOfChain(text));
    if (!("value" in root) || root.value === undefined) return;
    // What is handed out in a join string must be what was read.
    const rest = { relay: "tunnel://a", name: "x", secret: "A".repeat(43) } as const;
    const join = { ...rest, role: "device", authority: authority.publicJwk } as const;
    await read(() => encodeJoin({ ...join, root: root.value }));
  },
};

/** A relay that starts with damaged files says so, and leaves them as they are. */
const kept: Target = {
  name: "certificate:kept",
  iterations: 60,
  make: (random) => bytes(mutateText(pair.root + pair.key, random, PEMS)),
  async check(input) {
    const path = `${home.tlsPath}/root.pem`;
    Deno.writeFileSync(path, input);
    const key = pair.key.split("\n")[1]!;
    const work = () => developmentCertificate(home.tlsPath, { names: ["relay.example.com"] });
    const made = await attempt(work, ["unavailable"], [key]);
    if ("error" in made) same(Deno.readFileSync(path), input, "the damaged file");
  },
};

function unit(char: string): number {
  return char.charCodeAt(0);
}

export const files: Target[] = [homes, certificates, kept];
