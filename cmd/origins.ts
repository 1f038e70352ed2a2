/** Origins of web pages (RFC 6454), as browsers name them: which pages may connect to a relay. */

import { quote, TunnelError } from "../core/errors.ts";

/** `https://HOST` or `https://HOST:PORT`, in the form that browsers send. @throws {TunnelError} `usage` */
export function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href;
  if (isOrigin) return url.origin;
  throw new TunnelError("usage", {
    action: "read --allow-origin",
    state: `${quote(text)} is no origin of web pages`,
    remedy: "it is https://HOST or https://HOST:PORT, without a path",
  });
}

/** Where a relay serves pages of its own. */
export interface OwnPages {
  /** Whether it goes by this name or address. */
  readonly isOwnHost: (host: string) => boolean;
  /** Those that it listens on, and is reached by. */
  readonly ports: readonly number[];
}

/** Whether a page is one that the relay itself has served, by HTTPS. */
export function isOwnOrigin(origin: string, { isOwnHost, ports }: OwnPages): boolean {
  if (!origin.startsWith("https://") || !URL.canParse(origin)) return false;
  const { hostname, port } = new URL(origin);
  return isOwnHost(hostname.replace(/^\[|\]$/g, "")) && ports.includes(Number(port || 443));
}
