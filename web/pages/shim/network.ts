/** `fetch`, `XMLHttpRequest` and `sendBeacon` of a device's page, by way of the tab around it. */

import type { Answer } from "../messages.ts";
import type { Bridge } from "./bridge.ts";

export function installNetwork(bridge: Bridge): void {
  const ask = (input: RequestInfo | URL, init?: RequestInit) => fetchBy(bridge, input, init);
  globalThis.fetch = ask;
  navigator.sendBeacon = (url, data) => {
    ask(url, { method: "POST", body: data }).catch(() => {}); // Nobody waits for a beacon.
    return true;
  };
  // The platform's says by itself what events and states there are: only its way out is another.
  globalThis.XMLHttpRequest = class extends FakeXmlHttpRequest {
    protected override ask(url: string, init: RequestInit): Promise<Response> {
      return ask(url, init);
    }
  } as unknown as typeof XMLHttpRequest;
}

async function fetchBy(
  bridge: Bridge,
  input: RequestInfo | URL,
  init?: RequestInit,
): Promise<Response> {
  const url = input instanceof Request ? input.url : new URL(String(input), document.baseURI).href;
  // What a page has made itself is there already.
  if (/^(?:blob|data):/.test(url)) return await platformFetch(input, init);
  const request = new Request(input instanceof Request ? input : url, init);
  const { method, signal } = request;
  const body = method === "GET" || method === "HEAD"
    ? undefined
    : new Uint8Array(await request.arrayBuffer());
  const headers = [...request.headers] as [string, string][];
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  return responseOf(await Promise.race([bridge.request({ url, method, headers, body }), aborted]));
}

const platformFetch = globalThis.fetch.bind(globalThis);

function responseOf({ url, status, headers, body }: Answer): Response {
  const isBare = [101, 204, 205, 304].includes(status);
  const response = new Response(isBare ? null : body, { status, headers });
  Object.defineProperty(response, "url", { value: url });
  return response;
}

type Kind = XMLHttpRequestResponseType;

/** As much of XMLHttpRequest as pages use; never synchronous. */
class FakeXmlHttpRequest extends EventTarget {
  static readonly UNSENT = 0;
  static readonly OPENED = 1;
  static readonly HEADERS_RECEIVED = 2;
  static readonly LOADING = 3;
  static readonly DONE = 4;
  readonly UNSENT = 0;
  readonly OPENED = 1;
  readonly HEADERS_RECEIVED = 2;
  readonly LOADING = 3;
  readonly DONE = 4;
  readonly upload = new EventTarget();
  readyState = 0;
  status = 0;
  statusText = "";
  responseURL = "";
  responseType: Kind = "";
  timeout = 0;
  withCredentials = false;
  #method = "GET";
  #url = "";
  #headers: [string, string][] = [];
  #answerHeaders = new Headers();
  #body = new Uint8Array<ArrayBuffer>(new ArrayBuffer(0));
  #forced?: string;
  #ending = new AbortController();

  protected ask(_url: string, _init: RequestInit): Promise<Response> {
    return Promise.reject(new TypeError("there is no way"));
  }

  open(method: string, url: string | URL, isAsync = true): void {
    if (!isAsync) {
      throw new DOMException("synchronous requests are not to be had here", "InvalidAccessError");
    }
    this.#ending.abort();
    this.#ending = new AbortController();
    this.#method = method.toUpperCase();
    this.#url = new URL(url, document.baseURI).href;
    this.#headers = [];
    this.#state(1);
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers.push([name, value]);
  }

  overrideMimeType(type: string): void {
    this.#forced = type;
  }

  getResponseHeader(name: string): string | null {
    return this.#answerHeaders.get(name);
  }

  getAllResponseHeaders(): string {
    return [...this.#answerHeaders].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  send(data?: Document | XMLHttpRequestBodyInit | null): void {
    const body = data instanceof Document ? new XMLSerializer().serializeToString(data) : data;
    const isBare = this.#method === "GET" || this.#method === "HEAD";
    this.#run(this.#ending.signal, isBare ? undefined : body ?? undefined);
  }

  abort(): void {
    if (this.readyState === 0 || this.readyState === 4) return;
    this.#ending.abort();
    this.#end("abort");
  }

  get responseText(): string {
    const charset = /charset=([^;]+)/i.exec(this.#type)?.[1]?.trim() ?? "utf-8";
    return new TextDecoder(charset).decode(this.#body);
  }

  get responseXML(): Document | null {
    if (!/xml|html/.test(this.#type)) return null;
    const type = /html/.test(this.#type) ? "text/html" : "application/xml";
    return new DOMParser().parseFromString(this.responseText, type);
  }

  get response(): unknown {
    if (this.responseType === "" || this.responseType === "text") return this.responseText;
    if (this.readyState !== 4 || this.status === 0) return null;
    if (this.responseType === "arraybuffer") return this.#body.buffer;
    if (this.responseType === "blob") return new Blob([this.#body], { type: this.#type });
    if (this.responseType === "document") return this.responseXML;
    try {
      return JSON.parse(this.responseText);
    } catch {
      return null; // As the platform has it.
    }
  }

  get #type(): string {
    return this.#forced ?? this.#answerHeaders.get("content-type") ?? "text/plain";
  }

  async #run(signal: AbortSignal, body: BodyInit | undefined): Promise<void> {
    const limit = this.timeout > 0 ? AbortSignal.timeout(this.timeout) : undefined;
    this.#fire("loadstart");
    try {
      const response = await this.ask(this.#url, {
        method: this.#method,
        headers: this.#headers,
        body,
        signal: limit ? AbortSignal.any([signal, limit]) : signal,
      });
      if (signal.aborted) return;
      this.status = response.status;
      this.responseURL = response.url;
      this.#answerHeaders = response.headers;
      this.#state(2);
      this.#body = new Uint8Array(await response.arrayBuffer());
      if (signal.aborted) return;
      this.#state(3);
      this.#end("load");
    } catch {
      // Why it failed is not for the page to know, as the platform has it.
      if (!signal.aborted) this.#end(limit?.aborted ? "timeout" : "error");
    }
  }

  #end(how: "load" | "error" | "timeout" | "abort"): void {
    if (how !== "load") this.status = 0;
    this.#state(4);
    this.#fire(how);
    this.#fire("loadend");
  }

  #state(value: number): void {
    this.readyState = value;
    this.#fire("readystatechange");
  }

  #fire(type: string): void {
    const { length } = this.#body;
    const event = new ProgressEvent(type, {
      loaded: length,
      total: length,
      lengthComputable: true,
    });
    this.dispatchEvent(event);
    const handler = (this as unknown as Record<string, unknown>)[`on${type}`];
    if (typeof handler === "function") handler.call(this, event);
  }
}
