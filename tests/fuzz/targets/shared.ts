/** Both ends of a shared channel whose other end says anything: nothing is left open behind it. */

import { Carrier } from "../../../core/shared/carrier.ts";
import { serveShared } from "../../../core/shared/serve.ts";
import type { Duplex } from "../../../core/duplex.ts";
import { TunnelError } from "../../../core/errors.ts";
import { SILENT } from "../../../core/log.ts";
import { encodeMessage } from "../../../core/message.ts";
import { Batch } from "../../../core/mux/batch.ts";
import { Flag, FrameType } from "../../../core/mux/frame.ts";
import { Leftovers } from "../../leftovers.ts";
import type { Random } from "../../random.ts";
import { must } from "../expect.ts";
import { mutate } from "../mutate.ts";
import type { Target } from "../target.ts";
import { turn, until } from "../turns.ts";

const CONNECTIONS = 4;
const REFUSAL = encodeMessage({ type: "refused", code: "target", state: "it is off" });

export const sharedTargets: readonly Target[] = [
  {
    name: "shared:device",
    iterations: 400,
    make: (random) => maybeMutated(random, conversation(random, 1, [0, 0, 0, 1, 255])),
    async check(input) {
      using leftovers = new Leftovers();
      let open = 0;
      const connect = () => (open++, Promise.resolve(quiet(() => open--)));
      const channel = new ScriptedBytes(input);
      const options = { connections: CONNECTIONS, connect, log: SILENT, facts: {} };
      let count: number | undefined;
      serveShared(channel, options).then((served) => count = served);
      await until(() => count !== undefined, "the device goes on without a channel");
      await until(() => open === 0, () => `${open} targets are left open`);
      must(count! <= input.length, `${count} connections of ${input.length} bytes`);
      await until(() => leftovers.timers === 0, () => `${leftovers.timers} timers are left`);
    },
  },
  {
    name: "shared:service",
    iterations: 400,
    make: (random) => maybeMutated(random, conversation(random, 0, [0, 0, 1, 2])),
    async check(input) {
      using leftovers = new Leftovers();
      const channel = new ScriptedBytes(input, false);
      const carrier = new Carrier(channel);
      let left = 0;
      await turn();
      // Answers come for streams that were opened, so these are opened first.
      for (let i = 0; i < CONNECTIONS && carrier.hasRoom; i++) {
        left++;
        readAll(await carrier.open("dial x")).finally(() => left--);
      }
      channel.proceed();
      await until(() => left === 0, () => `${left} connections wait for ever`);
      await until(() => carrier.isOver, "the carrier outlives its channel");
      must(!carrier.hasRoom, "it takes connections all the same");
      await until(() => leftovers.timers === 0, () => `${leftovers.timers} timers are left`);
    },
  },
];

/** What a well-behaved end might say; the first byte of each stream is one of these. */
function conversation(random: Random, firstId: number, begins: readonly number[]): Uint8Array {
  const batch = new Batch(0);
  batch.settings({
    ...{ streams: CONNECTIONS, window: 262_144, idleTimeout: Infinity, restTimeout: Infinity },
  });
  const isService = firstId === 1;
  const said = new Set<number>();
  for (let step = random.below(24); step > 0; step--) {
    const id = 1 + 2 * random.below(CONNECTIONS);
    const isNew = !said.has(id);
    const begin = random.pick(begins);
    const rest = begin === 1 && !isService ? REFUSAL : random.bytes(random.below(40));
    const bytes = isNew ? Uint8Array.of(begin, ...rest) : rest;
    const end = random.below(3) === 0 ? Flag.end : 0;
    said.add(id);
    if (random.below(12) === 0) batch.control(FrameType.reset, id, random.below(3));
    else batch.data(id, (isNew && isService ? Flag.open : 0) | end, bytes);
  }
  if (random.below(2) === 0) batch.close(0, "");
  return batch.message.slice();
}

function maybeMutated(random: Random, bytes: Uint8Array): Uint8Array {
  return random.below(4) === 0 ? bytes : mutate(bytes, random);
}

/** Says the input in pieces, ends, and takes everything. */
class ScriptedBytes implements Duplex {
  readonly #input: Uint8Array;
  readonly #go = Promise.withResolvers<void>();
  #at = 0;
  #failure?: TunnelError;

  /** @param whole false: what is behind the SETTINGS waits for {@linkcode ScriptedBytes.proceed} */
  constructor(input: Uint8Array, whole = true) {
    this.#input = input;
    if (whole) this.#go.resolve();
  }

  proceed(): void {
    this.#go.resolve();
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#at > 0) await this.#go.promise;
    if (this.#failure) throw this.#failure;
    if (this.#at >= this.#input.length) return null;
    // 20 bytes are the SETTINGS.
    const length = this.#at === 0 ? 20 : 1 + this.#input[this.#at]! % 29;
    const part = this.#input.slice(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  write(): Promise<void> {
    return this.#failure ? Promise.reject(this.#failure) : Promise.resolve();
  }

  closeWrite(): Promise<void> {
    return this.write();
  }

  reset(error: TunnelError): void {
    this.#failure ??= error;
    this.#go.resolve();
  }
}

/** A target that says nothing and ends when it is ended. */
function quiet(onOver: () => void): Duplex {
  const over = Promise.withResolvers<null>();
  over.promise.then(onOver, onOver);
  return {
    read: () => over.promise,
    write: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(over.resolve(null)),
    reset: (error) => over.reject(error),
  };
}

/** Ends with the connection, however that ends; with an error it is one of ours. */
async function readAll(connection: Duplex): Promise<void> {
  try {
    while (await connection.read() !== null);
    await connection.closeWrite();
  } catch (cause) {
    if (!(cause instanceof TunnelError)) throw cause;
  }
}
