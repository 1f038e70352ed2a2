/** Which HTTP CONNECT proxy to take (RFC 9110, section 9.3.6), if any. */

import { TunnelError } from "../core/errors.ts";
import { portOf, withoutBrackets } from "./address.ts";
import { matchesNoProxy } from "./no_proxy.ts";

export interface ProxyOptions {
  /** The caller's own choice; the environment is not asked then. */
  proxy?: URL | string;
  /** Looks up an environment variable; without it there are none. */
  env?: (name: string) => string | undefined;
}

/**
 * The proxy for a `tunnel://` URL: the one given, else `HTTPS_PROXY` or `https_proxy`, unless
 * `NO_PROXY` or `no_proxy` excepts the host. Loopback needs no exception.
 *
 * @throws {TunnelError} `usage` when it is not an `http://` URL
 */
export function proxyFor(target: URL, options: ProxyOptions = {}): URL | undefined {
  if (options.proxy) return parseProxy(options.proxy, "the proxy given");
  const fromEnv = (name: string) => options.env?.(name) || options.env?.(name.toLowerCase());
  const value = fromEnv("HTTPS_PROXY");
  if (!value) return undefined;
  const host = withoutBrackets(target.hostname).toLowerCase();
  if (matchesNoProxy(fromEnv("NO_PROXY") ?? "", host, portOf(target))) return undefined;
  return parseProxy(value, "HTTPS_PROXY");
}

/**
 * A proxy as a program names it.
 *
 * @throws {TunnelError} `usage` when it is not an `http://` URL
 */
export function parseProxyUrl(proxy: URL | string | undefined): URL | undefined {
  return proxy === undefined ? undefined : parseProxy(proxy, "the proxy given");
}

/** @throws {TunnelError} `usage` when it is not an `http://` URL; never with the URL in it */
export function parseProxy(value: URL | string, source: string): URL {
  let url: URL;
  try {
    // The variables are often set to a bare host:port.
    url = new URL(typeof value === "string" && !value.includes("://") ? `http://${value}` : value);
  } catch {
    // The cause would quote the URL, and a password with it.
    throw badProxy(source, "is not a URL", "write it as http://user:password@host:port");
  }
  if (url.protocol !== "http:") {
    const remedy = "use an http:// proxy: the tunnel is encrypted inside it";
    throw badProxy(
      source,
      `is of the kind ${url.protocol.slice(0, 20)}//, which is not supported`,
      remedy,
    );
  }
  return url;
}

/** The error for a proxy that cannot be meant. */
export function badProxy(what: string, state: string, remedy: string): TunnelError {
  return new TunnelError("usage", { action: "choose a proxy", state: `${what} ${state}`, remedy });
}
