/** What the engine reports while it runs; where it goes is the program's business. */

/** Facts beside a message. A secret is never among them. */
export type LogFields = Record<string, string | number | boolean | undefined>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Says nothing. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
