/** One operator's watch of the devices, on its control stream. */

import type { Reply } from "../control.ts";
import type { MessageStream } from "../control_stream.ts";
import { describe } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Access } from "./access.ts";
import { type Presences, watchesAlready } from "./presences.ts";

export interface WatchingContext {
  /** The operator who asks. */
  readonly name: string;
  readonly access: Access;
  readonly presences: Presences;
  readonly log: Log;
}

export class Watching {
  readonly #control: MessageStream;
  readonly #context: WatchingContext;
  readonly #over: () => AbortSignal;
  #watch?: AbortController;

  /** @param over gives what fires when the session has ended */
  constructor(control: MessageStream, context: WatchingContext, over: () => AbortSignal) {
    this.#control = control;
    this.#context = context;
    this.#over = over;
  }

  /** @throws {TunnelError} `limit` when there is a watch already: what waits for one is bounded */
  start(id: number): Reply {
    if (this.#watch) throw watchesAlready();
    const { name, access, presences, log } = this.#context;
    const watch = this.#watch = new AbortController();
    const watcher = {
      mayKnow: (device: string) => access.mayKnow(name, device),
      reach: () => access.reach(name),
      send: (changed: object) => this.#control.send({ type: "presence", id, ...changed }),
    };
    presences.tell(watcher, AbortSignal.any([watch.signal, this.#over()])).catch((cause) =>
      // The session has ended, or is about to.
      log.debug("changes were not told", { operator: name, why: describe(cause) })
    );
    return { type: "done", id };
  }

  /** No change is told behind the answer, but for one that was on its way. */
  stop(id: number): Reply {
    this.#watch?.abort();
    this.#watch = undefined;
    return { type: "done", id };
  }
}
