/** Log lines on stderr: time, level, message, then key=value. */

import { TunnelError } from "../core/errors.ts";
import type { Log, LogFields } from "../core/log.ts";
import { toJson } from "./json.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = typeof LEVELS[number];

/** @throws {TunnelError} `usage` */
export function parseLevel(text: string): Level {
  const level = LEVELS.find((level) => level === text);
  if (level) return level;
  throw new TunnelError("usage", {
    action: "set the log level",
    state: `there is no level ${text}`,
    remedy: `use ${LEVELS.join(", ")}`,
  });
}

/** A log that drops what is below `least`. */
export function stderrLog(least: Level): Log {
  const encoder = new TextEncoder();
  const write = (level: Level) => (message: string, fields: LogFields = {}) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    const line = `${new Date().toISOString()} ${level.padEnd(5)} ${message}${format(fields)}\n`;
    try {
      Deno.stderr.writeSync(encoder.encode(line));
    } catch {
      // Nobody reads stderr any more: there is nowhere to say so.
    }
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** Says in the log that a listener cannot accept, and what to do. */
export function shortageWarning(log: Log): (shortage: TunnelError) => void {
  return ({ parts: { state, remedy } }) =>
    log.warn("connections cannot be accepted", { why: state, do: remedy });
}

/** Fields as they stand behind a message. */
export function format(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${quote(String(value))}`)
    .join("");
}

/** Quoted where a reader by spaces would stumble; control characters never reach the terminal. */
function quote(value: string): string {
  return /^[^\s"=\p{Cc}\p{Cf}]+$/u.test(value) ? value : toJson(value);
}
