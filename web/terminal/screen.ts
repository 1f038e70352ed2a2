/** xterm.js in an element of the page. */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import type { Size } from "./ssh.ts";
import { adoptStyles } from "./styles.ts";

/** Lines that can be scrolled back to. */
const SCROLLBACK = 5_000;

export interface Screen {
  readonly size: Size;
  /** Fulfils when it is on the screen. */
  write(bytes: Uint8Array | string): Promise<void>;
  focus(): void;
  /** Fits it into its element, which may have changed its size. */
  fit(): void;
  close(): void;
}

export interface ScreenOptions {
  readonly element: HTMLElement;
  /** What is typed and pasted, in UTF-8. */
  readonly onInput: (bytes: Uint8Array) => void;
  readonly onResize: (size: Size) => void;
}

export function openScreen({ element, onInput, onResize }: ScreenOptions): Screen {
  adoptStyles(document);
  const terminal = new Terminal({
    scrollback: SCROLLBACK,
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 14,
    screenReaderMode: true,
    theme: { background: "#10151c", foreground: "#e6ebf2", cursor: "#5ec8b6" },
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.open(element);
  const fit = () => element.clientWidth > 0 && fitting.fit();
  fit();
  const encoder = new TextEncoder();
  terminal.onData((text) => onInput(encoder.encode(text)));
  // Bytes of mouse reports that are no text.
  terminal.onBinary((text) => onInput(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => onResize({ columns: cols, rows }));
  const observer = new ResizeObserver(fit);
  observer.observe(element);
  return {
    get size() {
      return { columns: terminal.cols, rows: terminal.rows };
    },
    write: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    focus: () => terminal.focus(),
    fit,
    close() {
      observer.disconnect();
      terminal.dispose();
    },
  };
}
