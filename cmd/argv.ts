/** Options as people give them: on the command line, else as TUNNEL_* in the environment. */

import type { Command } from "cac";
import { TunnelError } from "../core/errors.ts";

/** Raw values by camel-cased name: text, or true for a flag. */
export interface Options {
  /** The last value given. */
  text(name: string): string | undefined;
  /** The same, but on the command line alone. */
  own(name: string): string | undefined;
  /** Every value given; in the environment they are separated by commas. */
  list(name: string): string[] | undefined;
  flag(name: string): boolean;
}

// The parser turns what looks like a number into one, and so the ID 007 into 7. A value that starts
// with this character does not look like a number.
const RAW = "\u001f";

/** Marks the values of options so that the parser keeps them as they were typed. */
export function protectValues(argv: readonly string[], commands: readonly Command[]): string[] {
  const valued = new Set(
    commands.flatMap(({ options }) => options)
      .filter(({ isBoolean }) => !isBoolean)
      .flatMap(({ rawName }) => rawName.match(/--?[a-z][a-z-]*/g) ?? []),
  );
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") return [...out, ...argv.slice(i)];
    const [name, ...rest] = word.split("=");
    const next = argv[i + 1];
    if (!valued.has(name!)) {
      out.push(word);
    } else if (rest.length > 0) {
      out.push(`${name}=${RAW}${rest.join("=")}`);
    } else if (next !== undefined && (next === "-" || !next.startsWith("-"))) {
      out.push(`${name}=${RAW}${next}`);
      i++;
    } else {
      out.push(word); // No value: the parser says so.
    }
  }
  return out;
}

/** What the parser made of the command line, with the environment behind it. */
export function readOptions(
  parsed: Record<string, unknown>,
  env: (name: string) => string | undefined,
): Options {
  const given = (name: string): string[] | undefined => {
    const value = parsed[name];
    if (value === undefined || value === false) return undefined;
    return [value].flat().map((one) => String(one).replace(RAW, ""));
  };
  const inherited = (name: string) =>
    env(`TUNNEL_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`) || undefined;
  return {
    own: (name) => given(name)?.at(-1),
    text: (name) => given(name)?.at(-1) ?? inherited(name),
    list: (name) => given(name) ?? inherited(name)?.split(",").map((part) => part.trim()),
    flag: (name) => parsed[name] === true || isTrue(inherited(name), name),
  };
}

function isTrue(value: string | undefined, name: string): boolean {
  if (value === undefined || /^(0|false|no|off)$/i.test(value)) return false;
  if (/^(1|true|yes|on)$/i.test(value)) return true;
  throw new TunnelError("usage", {
    action: `read the environment for --${name}`,
    state: `${value} is neither true nor false`,
    remedy: "use 1 or 0",
  });
}
