/** What is asked of the relay, in a view: the answer, or why there is none. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { describe } from "../../core/errors.ts";

export interface Remote<T> {
  readonly value?: T;
  readonly error?: string;
  /** Asks again; what is shown stays until the answer is there. */
  reload(): void;
}

/** @param ask is asked at first, at each `reload`, and when `key` changes; the latest answer counts */
export function useRemote<T>(ask: () => Promise<T>, key: unknown = ""): Remote<T> {
  const [result, setResult] = useState<{ value?: T; error?: string }>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isLatest = true;
    ask().then(
      (value) => isLatest && setResult({ value }),
      (cause) => isLatest && setResult(({ value }) => ({ value, error: describe(cause) })),
    );
    return () => {
      isLatest = false;
    };
  }, [key, turn]);
  return { ...result, reload: useCallback(() => setTurn((turn) => turn + 1), []) };
}

/** Something that a press of a button does: under way, or why it failed. */
export function useAction(): {
  readonly isBusy: boolean;
  readonly error?: string;
  run(work: () => Promise<void>): Promise<void>;
} {
  const [state, setState] = useState<{ isBusy: boolean; error?: string }>({ isBusy: false });
  const run = async (work: () => Promise<void>) => {
    setState({ isBusy: true });
    try {
      await work();
      setState({ isBusy: false });
    } catch (cause) {
      setState({ isBusy: false, error: describe(cause) });
    }
  };
  return { ...state, run };
}
