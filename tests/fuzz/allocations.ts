/** Counts the memory that code under test sets aside for bytes, whatever becomes of it. */

/** Counts from its making to its disposal, in everything that runs meanwhile. */
export class Allocations implements Disposable {
  readonly #restore: () => void;
  #bytes = 0;

  constructor() {
    const { Uint8Array, ArrayBuffer } = globalThis;
    const counting = {
      construct: (target: typeof Uint8Array, args: [unknown], made: typeof Uint8Array) => {
        if (typeof args[0] === "number") this.#bytes += args[0];
        return Reflect.construct(target, args, made);
      },
    };
    Object.assign(globalThis, {
      Uint8Array: new Proxy(Uint8Array, counting as unknown as ProxyHandler<typeof Uint8Array>),
      ArrayBuffer: new Proxy(ArrayBuffer, counting as unknown as ProxyHandler<typeof ArrayBuffer>),
    });
    this.#restore = () => void Object.assign(globalThis, { Uint8Array, ArrayBuffer });
  }

  get bytes(): number {
    return this.#bytes;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}
