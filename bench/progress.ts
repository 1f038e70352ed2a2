/** What is going on, for people: a line that is rewritten on a terminal, else a line each. */

/** What goes with a text. */
export interface Note {
  /** Steps of the suite that are done, of how many. */
  readonly done?: number;
  readonly of?: number;
  /** The line stays on a terminal too. */
  readonly keep?: boolean;
}

/** Told of what is going on. */
export type Progress = (text: string, note?: Note) => void;

/** Where the lines go. */
export interface Screen {
  readonly isTerminal: boolean;
  /** Characters of a line; only asked of a terminal. */
  columns(): number;
  write(text: string): void;
}

export interface Display extends Disposable {
  readonly progress: Progress;
  /** Begins a suite: what is left is estimated from its start. */
  begin(suite: string): void;
}

const CLEAR = "\r\x1b[K";

/**
 * @param suites how many there will be
 * @param now milliseconds
 */
export function openDisplay(
  screen: Screen,
  suites: number,
  now: () => number = () => performance.now(),
): Display {
  const began = now();
  let name = "";
  let begun = 0;
  let suiteBegan = began;
  const position = ({ done, of }: Note) => {
    if (done === undefined || of === undefined) return "";
    const took = now() - suiteBegan;
    const left = done === 0 ? "" : `, about ${clock(took / done * (of - done))} left of it`;
    return ` ${done} of ${of}${left}`;
  };
  return {
    begin(suite) {
      name = suite;
      begun++;
      suiteBegan = now();
    },

    progress(text, note = {}) {
      const which = name === "" ? "" : suites > 1 ? `${name} (${begun} of ${suites})` : name;
      const line = `[${clock(now() - began)}] ${which}${position(note)}${which && ": "}${text}`;
      if (!screen.isTerminal) return screen.write(`${line}\n`);
      if (note.keep) return screen.write(`${CLEAR}${line}\n`);
      screen.write(`${CLEAR}${line.split("\n")[0]!.slice(0, Math.max(1, screen.columns() - 1))}`);
    },

    [Symbol.dispose]() {
      if (screen.isTerminal) screen.write(CLEAR);
    },
  };
}

/** stderr as a screen. */
export function stderrScreen(): Screen {
  const encoder = new TextEncoder();
  return {
    isTerminal: Deno.stderr.isTerminal(),
    // A terminal that does not know its width says 0.
    columns: () => Deno.consoleSize().columns || 80,
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  };
}

/** `1:05`, `1:00:05`. */
function clock(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const rest = two(seconds % 60);
  return minutes < 60
    ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}
