/** The certificate that a relay shows: given or made here, renewed, and told to browsers. */

import { delay } from "../core/deadline.ts";
import { describe, TunnelError } from "../core/errors.ts";
import { HASHES_PATH } from "../core/identity/certificate_hashes.ts";
import type { Log } from "../core/log.ts";
import type { Certificate, Listener } from "../core/transport.ts";
import {
  certificateNames,
  developmentCertificate,
  developmentHashes,
  expiry,
  rootOfChain,
  withoutRoot,
} from "../stores/certificate.ts";
import type { HttpResponse, RequestHead } from "../transports/websocket/transport.ts";
import type { Context } from "./context.ts";

const DAY = 86_400_000;
/** Milliseconds between two looks whether it must be renewed: 7 days are left for it. */
const RENEWAL_INTERVAL = 3_600_000;

/** What `--cert` and `--key` name, else one of the home's own. @throws {TunnelError} `usage` */
export async function findCertificate(
  { options, home, log }: Context,
  hosts: readonly string[],
): Promise<RelayCertificate> {
  const [certFile, keyFile] = [options.text("cert"), options.text("key")];
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new TunnelError("usage", {
      action: "start the relay",
      state: "--cert and --key go together, one of them is missing",
    });
  }
  if (certFile === undefined) return await MadeCertificate.find(home.tlsPath, ownNames(hosts), log);
  const [cert, key] = [readFile("--cert", certFile), readFile("--key", keyFile!)];
  const days = Math.floor((expiry(cert).getTime() - Date.now()) / DAY);
  if (days < 14) log.warn("the certificate expires soon", { days, file: certFile });
  return new GivenCertificate({ cert, key });
}

/** A certificate in use. */
export interface RelayCertificate {
  readonly current: Certificate;
  /** Those that it is for. */
  readonly names: readonly string[];
  /** What join strings carry, when it is not publicly trusted. */
  readonly root: string | undefined;
  /** The answer to a request that is none for a tunnel. */
  answer(request: Pick<RequestHead, "method" | "target">): HttpResponse;
  /** Renews it on these listeners in time, until the signal fires. */
  keepRenewed(listeners: readonly Listener[], signal: AbortSignal): Promise<void>;
}

class GivenCertificate implements RelayCertificate {
  readonly current: Certificate;
  readonly names: readonly string[];
  readonly root: string | undefined;

  constructor({ cert, key }: Certificate) {
    this.current = { cert: withoutRoot(cert), key };
    this.names = certificateNames(cert);
    this.root = rootOfChain(cert);
  }

  answer(): HttpResponse {
    return NO_PAGE;
  }

  /** Whoever gave it starts the relay anew with another. */
  keepRenewed(): Promise<void> {
    return Promise.resolve();
  }
}

/** One of the relay's own, renewed while it runs. */
export class MadeCertificate implements RelayCertificate {
  readonly root: string;
  readonly #dir: string;
  readonly #names: string[];
  readonly #log: Log;
  #current: Certificate;
  #hashes: string;

  /** @param dir where it is kept */
  static async find(dir: string, names: string[], log: Log): Promise<MadeCertificate> {
    const made = await developmentCertificate(dir, { names });
    return new MadeCertificate(
      { dir, names, log },
      made,
      await developmentHashes(dir, [made.cert]),
    );
  }

  private constructor(
    { dir, names, log }: { dir: string; names: string[]; log: Log },
    { cert, key, root }: Certificate & { root: string },
    hashes: string,
  ) {
    this.root = root;
    this.#dir = dir;
    this.#names = names;
    this.#log = log;
    this.#current = { cert, key };
    this.#hashes = hashes;
  }

  get current(): Certificate {
    return this.#current;
  }

  get names(): readonly string[] {
    return certificateNames(this.#current.cert);
  }

  answer({ method, target }: Pick<RequestHead, "method" | "target">): HttpResponse {
    if (method !== "GET" || target.split("?")[0] !== HASHES_PATH) return NO_PAGE;
    // No secret, and signed: any page may read it.
    const headers = { "access-control-allow-origin": "*", "cache-control": "no-store" };
    return { status: 200, headers, body: `${this.#hashes}\n` };
  }

  async keepRenewed(listeners: readonly Listener[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(RENEWAL_INTERVAL, signal);
      if (signal.aborted) return;
      try {
        await this.renew(listeners);
      } catch (cause) {
        // The one in use is good for days yet; in an hour it may work.
        this.#log.error("the certificate cannot be renewed", { why: describe(cause) });
      }
    }
  }

  /**
   * Makes another where the one in use has come near its end, and has the listeners show it.
   *
   * @param now milliseconds since the epoch; default the clock
   */
  async renew(listeners: readonly Listener[], now = Date.now()): Promise<void> {
    const before = this.#current.cert;
    const { cert, key } = await developmentCertificate(this.#dir, { names: this.#names, now });
    if (cert === before) return;
    // Whoever has asked for the hashes may still meet the one of before.
    const hashes = await developmentHashes(this.#dir, [cert, before], { now });
    this.#current = { cert, key };
    this.#hashes = hashes;
    for (const listener of listeners) {
      if (listener.renew) listener.renew({ cert, key });
      else {this.#log.warn("restart the relay within a week", {
          why: "its certificate ends",
          ...of(listener),
        });}
    }
    this.#log.info("certificate renewed", { until: expiry(cert).toISOString() });
  }
}

const NO_PAGE = { status: 404, body: "This is a tunnel relay; there is no page here.\n" };

/** An address that stands for all. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function of({ transport }: Listener) {
  return { transport };
}

function ownNames(hosts: readonly string[]): string[] {
  const addresses = Deno.networkInterfaces().map(({ address }) => address)
    .filter((address) => !address.toLowerCase().startsWith("fe80"));
  const all = ["localhost", "127.0.0.1", "::1", Deno.hostname().toLowerCase()]
    .concat(addresses, hosts.filter((host) => !isWildcard(host)));
  return [...new Set(all)];
}

function readFile(option: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new TunnelError("usage", {
      action: `read ${option} ${path}`,
      state: describe(cause),
      remedy: "name a PEM file that this user may read",
      cause,
    });
  }
}
