/**
 * Sessions over a WebTransport object that is given: a browser's, or that of
 * `@fails-components/webtransport` for Node. Nothing of a runtime is named here.
 */

import { throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { describe, toTunnelError, TunnelError } from "../../core/errors.ts";
import { DEFAULT_RELAY_PORT } from "../../core/names.ts";
import {
  CloseCode,
  type CloseInfo,
  closeInfo,
  type ConnectOptions,
  type RemoteAddress,
  type Session,
  type Stream,
  type Transport,
} from "../../core/transport.ts";
import { Pulled } from "../pulled.ts";
import { StreamOpener } from "../stream_opener.ts";
import { PATH } from "./request.ts";

/** Milliseconds until there is a session. */
const CONNECT_TIMEOUT = 10_000;

/** As much of a `WebTransport` (W3C) as is used. */
export interface PlatformWebTransport {
  readonly ready: Promise<unknown>;
  readonly closed: Promise<{ closeCode?: number; reason?: string } | undefined>;
  readonly incomingBidirectionalStreams: ReadableStream;
  createBidirectionalStream(options?: { waitUntilAvailable?: boolean }): Promise<Stream>;
  close(info?: { closeCode?: number; reason?: string }): void;
}

/** `globalThis.WebTransport`, and that of the library. */
export interface PlatformConstructor {
  new (
    url: string,
    options?: { serverCertificateHashes?: { algorithm: string; value: BufferSource }[] },
  ): PlatformWebTransport;
}

/**
 * The SHA-256 hashes of the certificates that a relay may have now, where roots vouch for them. Asked
 * for at each connect that has `caCerts`, never without.
 */
export type HashFinder = (
  relay: URL,
  options: {
    /** PEM, any of which will do. */
    readonly roots: readonly string[];
    readonly signal: AbortSignal;
  },
) => Promise<readonly Uint8Array<ArrayBuffer>[]>;

export interface PlatformOptions {
  readonly WebTransport: PlatformConstructor;
  /** Without it a connect with `caCerts` is a `usage` error: browsers take hashes, not roots. */
  readonly certificateHashes?: HashFinder;
}

/**
 * A transport on the platform's WebTransport. Limits and keepalives are the platform's: those of a
 * connect are not heeded. It cannot listen.
 */
export function webtransport(options: PlatformOptions): Transport {
  return {
    name: "webtransport",
    connect: (url, connectOptions) => connect(url, connectOptions ?? {}, options),
    listen() {
      const state = "this platform takes no connections";
      const error = new TunnelError("unavailable", { action: "listen by WebTransport", state });
      return Promise.reject(error);
    },
  };
}

async function connect(
  url: URL,
  { signal, caCerts = [], proxy }: ConnectOptions,
  options: PlatformOptions,
): Promise<Session> {
  const action = `connect ${url.host} by WebTransport`;
  if (proxy) {
    throw new TunnelError("usage", {
      action,
      state: "an HTTP proxy carries no UDP",
      remedy: "use WebSocket with a proxy",
    });
  }
  throwIfAborted(signal, action);
  try {
    return await withDeadline(
      { action, timeout: CONNECT_TIMEOUT, signal },
      async (signal) => {
        const hashes = await findHashes(url, caCerts, options, signal);
        throwIfAborted(signal, action);
        return await dial(url, hashes, options, signal);
      },
    );
  } catch (cause) {
    throw toTunnelError(cause, action, "unreachable");
  }
}

async function findHashes(
  url: URL,
  roots: readonly string[],
  { certificateHashes }: PlatformOptions,
  signal: AbortSignal,
): Promise<readonly Uint8Array<ArrayBuffer>[]> {
  if (roots.length === 0) return [];
  if (certificateHashes) return await certificateHashes(url, { roots, signal });
  throw new TunnelError("usage", {
    action: `connect ${url.host} by WebTransport`,
    state: "the platform's WebTransport trusts hashes of certificates, not roots",
    remedy: "give certificateHashes",
  });
}

async function dial(
  url: URL,
  hashes: readonly Uint8Array<ArrayBuffer>[],
  { WebTransport }: PlatformOptions,
  signal: AbortSignal,
): Promise<Session> {
  const pins = hashes.map((value) => ({ algorithm: "sha-256", value }));
  const options = pins.length > 0 ? { serverCertificateHashes: pins } : {};
  const platform = new WebTransport(`https://${url.host}${PATH}`, options);
  platform.closed.catch(() => {}); // Whoever has the session learns of it there.
  const cancel = () => platform.close();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    await platform.ready;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return new PlatformSession(platform, { hostname, port: Number(url.port || DEFAULT_RELAY_PORT) });
}

class PlatformSession implements Session {
  readonly transport = "webtransport";
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  readonly incoming: Pulled;
  readonly #platform: PlatformWebTransport;
  readonly #opener: StreamOpener;
  #closing?: CloseInfo;

  constructor(platform: PlatformWebTransport, remote: RemoteAddress) {
    this.#platform = platform;
    this.remote = remote;
    this.#opener = new StreamOpener(() =>
      platform.createBidirectionalStream({ waitUntilAvailable: true })
    );
    this.closed = platform.closed.then(
      (info) => this.#closing ?? { code: info?.closeCode ?? 0, reason: info?.reason ?? "" },
      (cause) => {
        if (this.#closing) return this.#closing;
        throw new TunnelError("reset", {
          action: `keep the session with ${remote.hostname}`,
          state: `it was lost: ${describe(cause)}`,
          cause,
        });
      },
    );
    this.closed.catch(() => {}); // Asking for it is optional.
    this.incoming = new Pulled(platform.incomingBidirectionalStreams, this.closed);
  }

  openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    return this.#opener.open(signal);
  }

  close(info: CloseInfo = { code: CloseCode.done, reason: "" }): void {
    if (this.#closing) return;
    this.#closing = info;
    const { code: closeCode, reason } = closeInfo(info.code, info.reason);
    try {
      this.#platform.close({ closeCode, reason });
    } catch {
      // It is over already, as `closed` says.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed.catch(() => {}); // How it ended is for those who ask.
  }
}
