/**
 * The cookies of one device's pages (RFC 6265, for a single host), for as long as their tab is open.
 * Browsers would keep them for the relay's host, where every device's page could set and read them.
 */

/** Cookies at most; the oldest goes. */
const MAX_COOKIES = 50;
/** Characters of name and value together, at most. */
const MAX_COOKIE = 4_096;

interface Cookie {
  readonly value: string;
  readonly path: string;
  readonly isHttpOnly: boolean;
  /** Milliseconds since 1970; without it, as long as the tab. */
  readonly expires?: number;
}

export class CookieJar {
  /** By name and path, the oldest first. */
  readonly #cookies = new Map<string, Cookie & { name: string }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Takes a `Set-Cookie`, or what a script has assigned; what is none is passed over. */
  set(text: string, requestPath: string, { fromScript = false } = {}): void {
    const [pair = "", ...attributes] = text.split(";");
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(0, equals)).trim();
    const value = pair.slice(equals + 1).trim();
    if (name === "" || name.length + value.length > MAX_COOKIE || /\p{Cc}/u.test(text)) {
      return;
    }
    const given = new Map(attributes.map((attribute) => {
      const [key = "", ...rest] = attribute.split("=");
      return [key.trim().toLowerCase(), rest.join("=").trim()];
    }));
    const isHttpOnly = given.has("httponly");
    if (fromScript && isHttpOnly) return;
    const wanted = given.get("path") ?? "";
    const path = wanted.startsWith("/") ? wanted : defaultPath(requestPath);
    const key = `${name};${path}`;
    if (fromScript && this.#cookies.get(key)?.isHttpOnly) return;
    const expires = expiry(given, this.#now());
    this.#cookies.delete(key);
    if (expires !== undefined && expires <= this.#now()) return;
    this.#cookies.set(key, { name, value, path, isHttpOnly, expires });
    if (this.#cookies.size > MAX_COOKIES) this.#cookies.delete(this.#cookies.keys().next().value!);
  }

  /** `a=1; b=2` for a request of that path; for a script, what scripts may see. */
  get(path: string, { forScript = false } = {}): string {
    const now = this.#now();
    return [...this.#cookies.values()]
      .filter((cookie) => cookie.expires === undefined || cookie.expires > now)
      .filter((cookie) => covers(cookie.path, path) && !(forScript && cookie.isHttpOnly))
      // Longer paths first (section 5.4).
      .sort((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ");
  }
}

/** Section 5.3, step 3: Max-Age counts before Expires. */
function expiry(given: ReadonlyMap<string, string>, now: number): number | undefined {
  const age = given.get("max-age");
  if (age !== undefined && /^-?\d+$/.test(age)) return now + Number(age) * 1_000;
  const at = Date.parse(given.get("expires") ?? "");
  return Number.isNaN(at) ? undefined : at;
}

/** Section 5.1.4. */
function defaultPath(path: string): string {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return folder.startsWith("/") ? folder : "/";
}

function covers(cookiePath: string, path: string): boolean {
  if (cookiePath === path) return true;
  return path.startsWith(cookiePath) &&
    (cookiePath.endsWith("/") || path[cookiePath.length] === "/");
}
