/** The way from a device's page to the tab around it. */

import type { Answer, FromPage, PageRequest } from "../messages.ts";

export class Bridge {
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #lastId = 0;
  /** What scripts may see of the device's cookies. */
  cookie = "";

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<Answer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      this.cookie = data.cookie;
      if (data.failure === undefined) waiting?.resolve(data);
      // As a failed fetch is told to a page.
      else waiting?.reject(new TypeError(data.failure));
    };
  }

  tell(message: FromPage): void {
    this.#port.postMessage(message);
  }

  request(request: PageRequest): Promise<Answer> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(id, waiting);
    this.tell({ type: "request", id, ...request });
    return waiting.promise;
  }

  get(url: string): Promise<Answer> {
    return this.request({ url, method: "GET", headers: [["Accept", "*/*"]] });
  }
}
