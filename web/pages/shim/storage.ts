/** `document.cookie` and the storages, which a page without an origin has none of. */

import type { PageToShow } from "../messages.ts";
import type { Bridge } from "./bridge.ts";

export function installStorage(bridge: Bridge, { cookie, storage }: PageToShow): void {
  bridge.cookie = cookie;
  Object.defineProperty(Document.prototype, "cookie", {
    configurable: true,
    get: () => bridge.cookie,
    set(text: string) {
      bridge.tell({ type: "cookie", text: String(text).slice(0, 8_192) });
      // What it comes to, the next answer tells; until then as a script expects it.
      bridge.cookie = withCookie(bridge.cookie, String(text));
    },
  });
  for (const area of ["local", "session"] as const) {
    const made = storageOf(bridge, area, storage[area]);
    Object.defineProperty(globalThis, `${area}Storage`, { configurable: true, value: made });
  }
}

function withCookie(cookie: string, text: string): string {
  const pair = text.split(";")[0]!.trim();
  const name = `${pair.split("=")[0]}=`;
  const others = cookie.split("; ").filter((one) => one !== "" && !one.startsWith(name));
  const isGone = /;\s*max-age\s*=\s*(?:0|-)/i.test(text) || /;\s*expires=[^;]*19[67]\d/i.test(text);
  return [...others, ...(isGone ? [] : [pair])].join("; ");
}

/** By methods and by names, as scripts use both. */
function storageOf(
  bridge: Bridge,
  area: "local" | "session",
  entries: readonly [string, string][],
): Storage {
  const values = new Map(entries);
  const put = (key: string, value?: string) => {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
    bridge.tell({ type: "store", area, key, value });
  };
  const methods = {
    getItem: (key: string) => values.get(String(key)) ?? null,
    setItem: (key: string, value: string) => put(String(key), String(value)),
    removeItem: (key: string) => put(String(key)),
    clear: () => [...values.keys()].forEach((key) => put(key)),
    key: (index: number) => [...values.keys()][index] ?? null,
  };
  return new Proxy(methods, {
    get: (target, name) => {
      if (name === "length") return values.size;
      return Reflect.get(target, name) ?? values.get(String(name));
    },
    set: (_, name, value) => {
      put(String(name), String(value));
      return true;
    },
    deleteProperty: (_, name) => {
      put(String(name));
      return true;
    },
    has: (target, name) => name in target || values.has(String(name)),
    ownKeys: () => [...values.keys()],
    getOwnPropertyDescriptor: (_, name) => {
      const value = values.get(String(name));
      if (value === undefined) return undefined;
      return { value, configurable: true, enumerable: true, writable: true };
    },
  }) as unknown as Storage;
}
