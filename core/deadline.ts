/** Bounds on waits: every wait on a peer takes a deadline, the caller's signal, or both. */

import { TunnelError } from "./errors.ts";

/** What a bounded wait needs to know. */
export interface DeadlineOptions {
  /** What is being waited for; the action of the error. */
  action: string;
  /** Milliseconds. */
  timeout: number;
  /** The caller's own cancellation. */
  signal?: AbortSignal;
  /** What to do when the time runs out; the remedy of the error. */
  remedy?: string;
}

/**
 * Runs `work` with a signal that fires when the time is up or the caller cancels. The result is
 * awaited only until then, so that work which ignores its signal cannot hold the caller; such work
 * must release what it holds by itself when the signal fires. Work that is told to wait may have its
 * time begin anew: `extend` gives it so many milliseconds from now.
 *
 * @throws {TunnelError} `timeout` or `aborted`, or what `work` threw
 */
export async function withDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal, extend: (timeout: number) => void) => Promise<T>,
): Promise<T> {
  const { action, signal, remedy } = options;
  throwIfAborted(signal, action);
  const controller = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (error: TunnelError) => {
    reject(error);
    controller.abort(error);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const extend = (timeout: number) => {
    clearTimeout(timer);
    // Work that goes on in spite of its signal has nobody left to wait for it.
    if (controller.signal.aborted) return;
    const state = `no answer within ${formatMs(timeout)}`;
    timer = setTimeout(() => stop(new TunnelError("timeout", { action, state, remedy })), timeout);
  };
  extend(options.timeout);
  const onAbort = () => stop(abortError(signal!, action));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work(controller.signal, extend), stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Waits; returns early and silently when the signal fires. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Settles with `work`, or rejects as soon as the signal fires. */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  action: string,
): Promise<T> {
  if (!signal) return await work;
  throwIfAborted(signal, action);
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal, action));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** @throws {TunnelError} what the signal was aborted with if that is one, else `aborted` */
export function throwIfAborted(signal: AbortSignal | undefined, action: string): void {
  if (signal?.aborted) throw abortError(signal, action);
}

/** The error for an aborted signal: its own reason if that is a TunnelError, else `aborted`. */
export function abortError(signal: AbortSignal, action: string): TunnelError {
  const cause: unknown = signal.reason;
  if (cause instanceof TunnelError) return cause;
  return new TunnelError("aborted", { action, state: "it was cancelled", cause });
}

function formatMs(ms: number): string {
  return ms >= 1000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`;
}
