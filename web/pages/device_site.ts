/** A device's web server behind a channel: requests, redirects, cookies. */

import { TunnelError } from "../../core/errors.ts";
import type { Target } from "../../core/names.ts";
import type { FleetStream } from "../../core/member/fleet.ts";
import { CookieJar } from "./cookies.ts";
import { exchange, type HttpAnswer } from "./http1.ts";
import type { PageRequest } from "./messages.ts";

/** Redirects in a row that are followed. */
const MAX_REDIRECTS = 10;
/** Requests at once; small servers have few connections. */
const AT_ONCE = 6;
/** Requests that wait, at most. */
const MAX_WAITING = 512;
/** Milliseconds that an answer may take. */
const TIMEOUT = 60_000;

/** What a page's script may not say by itself. */
const FORBIDDEN = new Set(
  [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
  ]
    .concat(["trailer", "transfer-encoding", "upgrade"]),
);

export interface SiteAnswer extends HttpAnswer {
  /** Where it came from, in the end. */
  readonly url: URL;
}

export interface DeviceSiteOptions {
  /** The origin that stands for the device in addresses: nothing is ever fetched from it. */
  readonly origin: string;
  readonly target: Target;
  readonly dial: (signal: AbortSignal) => Promise<FleetStream>;
}

export class DeviceSite {
  readonly cookies = new CookieJar();
  readonly #options: DeviceSiteOptions;
  /** What the device is called in `Host`: what somebody beside it would type. */
  readonly host: string;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: DeviceSiteOptions) {
    const { host = "localhost", port } = options.target;
    const name = host.includes(":") ? `[${host}]` : host;
    this.#options = options;
    this.host = port === 80 ? name : `${name}:${port}`;
  }

  /**
   * The device's own address that an address of a page stands for.
   *
   * @throws {TunnelError} `target` when it leads elsewhere: no page gets there by this tunnel
   */
  resolve(text: string, base?: URL): URL {
    const { origin } = this.#options;
    const url = URL.canParse(text, base) ? new URL(text, base) : undefined;
    if (url?.origin === origin) return url;
    if (url?.origin === `http://${this.host}`) return new URL(url.pathname + url.search, origin);
    throw new TunnelError("target", {
      action: "open a page of the device",
      state: `it leads to ${
        url ? url.origin === "null" ? url.protocol : url.origin : "no address"
      }`,
      remedy: "open that address elsewhere, if you trust it",
    });
  }

  /**
   * Asks the device and follows its redirects.
   *
   * @throws {TunnelError} what the dial and the exchange throw; `target` when it leads elsewhere
   */
  async fetch(request: PageRequest, base?: URL): Promise<SiteAnswer> {
    let url = this.resolve(request.url, base);
    let { method, body } = request;
    let headers = request.headers;
    for (let i = 0; i <= MAX_REDIRECTS; i++) {
      const answer = await this.#inTurn(() => this.#ask(url, method, headers, body));
      const to = answer.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(answer.status) || to === null) {
        return { ...answer, url };
      }
      const { hash } = url;
      url = this.resolve(to, url);
      url.hash ||= hash;
      // Browsers ask by GET where a POST is sent elsewhere (Fetch, "HTTP-redirect fetch").
      const isAskedAnew = answer.status === 303 || (method === "POST" && answer.status < 303);
      if (!isAskedAnew || method === "HEAD") continue;
      method = "GET";
      body = undefined;
      headers = headers.filter(([name]) => !name.toLowerCase().startsWith("content-"));
    }
    const state = `it redirects more than ${MAX_REDIRECTS} times`;
    throw new TunnelError("protocol", { action: "open a page of the device", state });
  }

  async #ask(
    url: URL,
    method: string,
    headers: PageRequest["headers"],
    body: Uint8Array | undefined,
  ): Promise<HttpAnswer> {
    const cookie = this.cookies.get(url.pathname);
    const fields: [string, string][] = [
      ["Host", this.host],
      ...headers.filter(([name]) => !FORBIDDEN.has(name.toLowerCase())),
      ["Accept-Encoding", "identity"],
      ["Connection", "close"],
    ];
    if (cookie) fields.push(["Cookie", cookie]);
    const signal = AbortSignal.timeout(TIMEOUT);
    const stream = await this.#options.dial(signal);
    const cancel = () => stream.reset("the answer takes too long");
    signal.addEventListener("abort", cancel);
    try {
      const path = url.pathname + url.search;
      const answer = await exchange(stream, { method, path, headers: fields, body });
      for (const text of answer.headers.getSetCookie()) this.cookies.set(text, url.pathname);
      return answer;
    } finally {
      signal.removeEventListener("abort", cancel);
      stream.reset("the answer is here");
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING) {
        const state = `more than ${MAX_WAITING} requests wait`;
        throw new TunnelError("limit", { action: "ask the device", state });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}
