/** The console's files over HTTP, with all that browsers are told about how little they may do. */

import { describe } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { HttpResponse, RequestHead } from "../transports/websocket/transport.ts";
import { type Asset, type Assets, loadAssets } from "./console_assets.ts";

/** What a page may load and do. `relay` is where it connects to, beside its own origin. */
const STRICT = (relay: string) =>
  policy({
    "default-src": "'none'",
    // WebAssembly, of these files alone: the cipher is twice as fast by it. Text is never run.
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": `'self' https://${relay} wss://${relay}`,
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
  });

/** Like that, and has the frame of a device's page: nothing but that may be in a frame. */
const VIEWER = (relay: string, host: string) =>
  `${STRICT(relay)}; frame-src https://${host}/_frame`;

/**
 * A device's page: without an origin, so that nothing of the console's is its own, and without a
 * network, so that it reaches its device alone, by asking the page around it.
 */
const FRAME = policy({
  "sandbox": "allow-scripts allow-forms allow-modals",
  "default-src": "'none'",
  "script-src": "'unsafe-inline' 'unsafe-eval' blob: data:",
  "style-src": "'unsafe-inline' blob: data:",
  "img-src": "blob: data:",
  "font-src": "blob: data:",
  "media-src": "blob: data:",
  "connect-src": "blob: data:",
  "worker-src": "blob:",
  "form-action": "'none'",
  "frame-ancestors": "'self'",
  "webrtc": "'block'",
});

/** Files that are no documents do nothing if they are opened as ones. */
const FILE = policy({ "default-src": "'none'", "sandbox": "", "frame-ancestors": "'none'" });

const COMMON = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export interface ConsoleOptions {
  /** The relay as join strings name it, `host:port`. */
  readonly relay: () => string;
  readonly log: Log;
  readonly load?: () => Promise<Assets>;
}

/** Answers requests for the console. */
export class Console {
  readonly #options: ConsoleOptions;
  #assets?: Promise<Assets>;

  constructor(options: ConsoleOptions) {
    this.#options = options;
  }

  /** Undefined when there is no such page. The first request has the files read. */
  async answer({ method, target, headers }: RequestHead): Promise<HttpResponse | undefined> {
    const path = target.split("?")[0]!;
    const assets = await this.#load();
    const asset = assets?.get(path);
    if (!asset) return undefined;
    const isHead = method === "HEAD";
    if (!isHead && method !== "GET") {
      return { status: 405, headers: { allow: "GET, HEAD" }, body: "Pages are read by GET.\n" };
    }
    const fields = { ...COMMON, ...this.#fields(path, asset, headers.get("host")) };
    if (hasTag(headers.get("if-none-match"), fields.etag)) return { status: 304, headers: fields };
    const isPacked = /(?:^|[\s,])(?:gzip|\*)(?!\s*;\s*q=0(?:\.0*)?(?:\s*,|\s*$))/i
      .test(headers.get("accept-encoding") ?? "");
    return isPacked
      ? {
        status: 200,
        headers: { ...fields, "content-encoding": "gzip" },
        body: asset.gzip,
        isHead,
      }
      : { status: 200, headers: fields, body: asset.plain, isHead };
  }

  async #load(): Promise<Assets | undefined> {
    const { load = loadAssets, log } = this.#options;
    try {
      return await (this.#assets ??= load());
    } catch (cause) {
      this.#assets = undefined; // The next request tries again.
      log.error("the console cannot be loaded", { why: describe(cause) });
    }
  }

  #fields(path: string, { type, tag, isForever }: Asset, host: string | null) {
    const relay = this.#options.relay();
    return {
      "content-type": type,
      "content-security-policy": policyOf(path, relay, isHost(host) ? host : relay),
      "cache-control": isForever ? "public, max-age=31536000, immutable" : "no-cache",
      "etag": `"${tag}"`,
      "vary": "accept-encoding, host",
    };
  }
}

function policyOf(path: string, relay: string, host: string): string {
  if (path === "/") return STRICT(relay);
  if (path === "/view") return VIEWER(relay, host);
  return path === "/_frame" ? FRAME : FILE;
}

/** Whether it may be put into a policy: a name or address, and a port. */
function isHost(host: string | null): host is string {
  return host !== null && /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host);
}

function hasTag(field: string | null, tag: string): boolean {
  return (field ?? "").split(",").some((item) => item.trim().replace(/^W\//, "") === tag);
}

function policy(directives: Record<string, string>): string {
  return Object.entries(directives).map((parts) => parts.join(" ").trim()).join("; ");
}
