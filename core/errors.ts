/**
 * The one kind of error that leaves this toolkit, and the one boundary that turns foreign errors
 * into it. A message is one line: the action, a colon, what is the case, what to do.
 */

/**
 * What went wrong, as a closed list that programs may branch on. The executable maps each code to
 * an exit code (see {@linkcode exitCode}).
 */
export type ErrorCode =
  /** The caller's words are wrong: a port of 70000, an ID with a slash. */
  | "usage"
  /** Identity or policy says no: a bad credential, a spent join string, no grant. */
  | "refused"
  /** This session gave way to a newer one of the same device. */
  | "replaced"
  /** The relay has never heard of the device. */
  | "unknown"
  /** The relay knows the device, but it has no session now. */
  | "offline"
  /** No transport reached the relay. */
  | "unreachable"
  /** The device could not connect to the target, or does not allow it. */
  | "target"
  /** The peer spoke, but not this protocol. */
  | "protocol"
  /** A bound on a wait ran out. */
  | "timeout"
  /** The stream, channel or session ended before it was finished. */
  | "reset"
  /** The channel that was to be resumed, or the dial that was to be decided about, is over. */
  | "gone"
  /** The session was closed in order. */
  | "closed"
  /** Something of this machine cannot be had: a port, a file, a program. */
  | "unavailable"
  /** A limit is reached, of this end or of the relay. */
  | "limit"
  /** The caller's own AbortSignal fired. */
  | "aborted"
  /** Everything else; a defect until shown otherwise. */
  | "internal";

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  usage: 2,
  refused: 3,
  replaced: 3,
  unknown: 4,
  offline: 4,
  unreachable: 5,
  target: 6,
};

/** The parts of an error's message, in the order in which they are printed. */
export interface ErrorParts {
  /** What was being done: "dial x:22". */
  action: string;
  /** What is the case: "the device is offline". */
  state: string;
  /** What to do about it, where there is something: "start `tunnel device --id x` there". */
  remedy?: string;
  /** The error this one was made from. */
  cause?: unknown;
}

/** An error with a code; its message is `action: state; remedy`, always one line. */
export class TunnelError extends Error {
  override readonly name = "TunnelError";
  readonly code: ErrorCode;
  readonly parts: ErrorParts;

  constructor(code: ErrorCode, parts: ErrorParts) {
    const text = `${parts.action}: ${parts.state}${parts.remedy ? `; ${parts.remedy}` : ""}`;
    super(oneLine(text), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.parts = parts;
  }

  /** The process exit code for this error: 2 usage, 3 refused, 4 device, 5 relay, 6 target, else 1. */
  get exitCode(): number {
    return EXIT_CODES[this.code] ?? 1;
  }

  /** The same error seen from a larger action, its code kept: `connect: ...` becomes `join: ...`. */
  during(action: string): TunnelError {
    return new TunnelError(this.code, { ...this.parts, action, cause: this });
  }
}

/**
 * Turns whatever was thrown into a {@linkcode TunnelError}. One of ours passes unchanged; an abort
 * becomes `aborted`, a `TimeoutError` `timeout`; anything else gets `code`.
 */
export function toTunnelError(cause: unknown, action: string, code: ErrorCode): TunnelError {
  if (cause instanceof TunnelError) return cause;
  const name = cause instanceof Error ? cause.name : "";
  if (name === "AbortError") {
    return new TunnelError("aborted", { action, state: "it was cancelled", cause });
  }
  if (name === "TimeoutError") {
    return new TunnelError("timeout", { action, state: "it took too long", cause });
  }
  return new TunnelError(code, { action, state: describe(cause), cause });
}

/** The exit code for anything that was thrown. */
export function exitCode(error: unknown): number {
  return error instanceof TunnelError ? error.exitCode : 1;
}

/** What a foreign error says, on one line and without its "(os error N)" tail. */
export function describe(cause: unknown): string {
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  return oneLine(text).replace(/ \(os error \d+\)/g, "").slice(0, 300) || "no reason was given";
}

/** Characters of somebody's words that an error repeats. */
const MAX_QUOTE = 80;

/** What a person typed, for an error: in quotes, cut to 80 characters, and {@linkcode redact}ed. */
export function quote(text: string): string {
  const shown = redact(text);
  return JSON.stringify(shown.length > MAX_QUOTE ? `${shown.slice(0, MAX_QUOTE)}...` : shown);
}

/**
 * A text without what may be secret in it: a word in the wrong place may be a join string, or a URL
 * with a password.
 */
export function redact(text: string): string {
  return withoutUser(text.replace(/(tj[0-9]{1,4}\.)[A-Za-z0-9._-]+/gi, "$1..."));
}

/** `http://user:password@host` as `http://...@host`; the password may have any characters. */
function withoutUser(text: string): string {
  const end = text.lastIndexOf("@");
  if (end < 0) return text;
  const slashes = text.indexOf("//");
  const start = slashes >= 0 && slashes < end ? slashes + 2 : 0;
  return text.slice(start, end).includes(":")
    ? `${text.slice(0, start)}...${text.slice(end)}`
    : text;
}

/**
 * A text on one line, as a terminal may show it: without characters that steer one, or that change
 * the order in which others are shown.
 */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "?").trim();
}
