/** Shows pages of a device in a frame, and answers what they ask for. */

import * as v from "valibot";
import { describe } from "../../core/errors.ts";
import type { DeviceSite, SiteAnswer } from "./device_site.ts";
import { type Answer, FromPage, type PageRequest, type PageToShow } from "./messages.ts";

/** The page of the relay that every page of a device is shown in: see cmd/console.ts. */
const FRAME = "/_frame";
/** Without `allow-same-origin` it has no origin; it opens no windows and moves no tab. */
const SANDBOX = "allow-scripts allow-forms allow-modals";
/** Characters of all values of a storage. */
const MAX_STORED = 2_000_000;
/** Addresses that can be gone back to. */
const MAX_HISTORY = 100;

export interface Shown {
  readonly title: string;
  /** `/path?query` of the page. */
  readonly path: string;
  readonly isBusy: boolean;
  readonly failure?: string;
  /** Something that is no page. */
  readonly download?: { readonly name: string; readonly url: string };
}

export interface PageViewOptions {
  readonly site: DeviceSite;
  /** Where the frame goes. */
  readonly place: HTMLElement;
  readonly onChange: (shown: Shown) => void;
}

export class PageView {
  readonly #options: PageViewOptions;
  readonly #storage = { local: new Map<string, string>(), session: new Map<string, string>() };
  readonly #history: string[] = [];
  #shown: Shown = { title: "", path: "/", isBusy: false };
  #url?: URL;
  #port?: MessagePort;
  /** Counts navigations: the latest counts. */
  #turn = 0;

  constructor(options: PageViewOptions) {
    this.#options = options;
    // A script that assigns `location` meets the policy of this tab, which tells where it wanted to.
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
      if (effectiveDirective !== "frame-src") return;
      this.navigate({ url: blockedURI, method: "GET", headers: [] });
    });
  }

  get canGoBack(): boolean {
    return this.#history.length > 1;
  }

  async back(): Promise<void> {
    this.#history.pop();
    const url = this.#history.pop();
    if (url !== undefined) await this.navigate({ url, method: "GET", headers: [] });
  }

  async reload(): Promise<void> {
    const url = this.#history.pop() ?? "/";
    await this.navigate({ url, method: "GET", headers: [] });
  }

  /** Shows another page, or why there is none. Never rejects. */
  async navigate(request: PageRequest): Promise<void> {
    const turn = ++this.#turn;
    this.#change({ isBusy: true, failure: undefined });
    try {
      const headers: PageRequest["headers"] = [
        ["Accept", "text/html,*/*;q=0.8"],
        ...request.headers,
      ];
      const answer = await this.#options.site.fetch({ ...request, headers }, this.#base);
      if (turn === this.#turn) this.#show(answer);
    } catch (cause) {
      if (turn === this.#turn) this.#change({ isBusy: false, failure: describe(cause) });
    }
  }

  get #base(): URL {
    return this.#url ?? new URL("/", location.origin);
  }

  #show(answer: SiteAnswer): void {
    const { url, headers, body } = answer;
    const type = headers.get("content-type") ?? "text/html";
    const isDownload = /^\s*attachment/i.test(headers.get("content-disposition") ?? "") ||
      !/^(?:text\/|image\/|application\/(?:json|xml|xhtml\+xml|javascript))/i.test(type);
    if (this.#shown.download) URL.revokeObjectURL(this.#shown.download.url);
    if (isDownload) {
      // Of no type that a browser would show in this origin.
      const blob = new Blob([body], { type: "application/octet-stream" });
      const download = { name: fileName(answer), url: URL.createObjectURL(blob) };
      return this.#change({ isBusy: false, download });
    }
    this.#url = url;
    this.#history.push(url.href);
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
    this.#change({ path: url.pathname + url.search, title: "", download: undefined });
    this.#open({
      html: htmlOf(answer, type),
      url: url.href,
      cookie: this.#options.site.cookies.get(url.pathname, { forScript: true }),
      storage: {
        local: [...this.#storage.local],
        session: [...this.#storage.session],
      },
    });
  }

  /** In a frame of its own: nothing of the page before is left in it. */
  #open(page: PageToShow): void {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", SANDBOX);
    frame.title = "Page of the device";
    frame.src = FRAME;
    this.#port?.close();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => this.#hear(port1, data);
    frame.addEventListener("load", () => {
      // It has no origin to name; the port goes to what this frame shows at this moment.
      frame.contentWindow!.postMessage(page, "*", [port2]);
      this.#change({ isBusy: false });
    }, { once: true });
    this.#options.place.replaceChildren(frame);
  }

  #hear(port: MessagePort, data: unknown): void {
    const { success, output: message } = v.safeParse(FromPage, data);
    if (!success || port !== this.#port) return;
    if (message.type === "request") this.#answer(port, message);
    else if (message.type === "navigate") this.navigate(message);
    else if (message.type === "title") this.#change({ title: message.title });
    else if (message.type === "cookie") {
      this.#options.site.cookies.set(message.text, this.#base.pathname, { fromScript: true });
    } else this.#store(message);
  }

  async #answer(
    port: MessagePort,
    { id, ...request }: PageRequest & { id: number },
  ): Promise<void> {
    const { site } = this.#options;
    const base = this.#base;
    const result = { type: "answer", id } as const;
    const cookie = () => site.cookies.get(base.pathname, { forScript: true });
    try {
      const { url, status, headers, body } = await site.fetch(request, base);
      // Cookies are the jar's: a script must not see those that are not for scripts.
      const fields = [...headers].filter(([name]) => name !== "set-cookie");
      const answer: Answer = {
        ...result,
        url: url.href,
        status,
        headers: fields,
        body,
        cookie: cookie(),
      };
      port.postMessage(answer, [body.buffer]);
    } catch (cause) {
      const failure = describe(cause);
      const none = { url: "", status: 0, headers: [], body: new Uint8Array() };
      port.postMessage({ ...result, ...none, failure, cookie: cookie() } satisfies Answer);
    }
  }

  #store({ area, key, value }: Extract<FromPage, { type: "store" }>): void {
    const values = this.#storage[area];
    values.delete(key);
    if (value === undefined) return;
    let size = key.length + value.length;
    for (const [key, value] of values) size += key.length + value.length;
    if (size <= MAX_STORED) values.set(key, value);
  }

  #change(part: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...part };
    this.#options.onChange(this.#shown);
  }
}

/** What is no HTML is shown as text, or as a picture, by a page around it. */
function htmlOf({ url, body }: SiteAnswer, type: string): string {
  if (/^image\//i.test(type)) {
    return `<!doctype html><img src="${escape(url.pathname + url.search)}">`;
  }
  const charset = /charset\s*=\s*"?([\w-]+)/i.exec(type)?.[1];
  const text = decoderOf(charset).decode(body);
  if (/html/i.test(type)) return text;
  return `<!doctype html><pre>${escape(text)}</pre>`;
}

function decoderOf(charset: string | undefined): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder(); // A name that nobody knows.
  }
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/** As the device says it, without what a name of a file must not have. */
function fileName({ url, headers }: SiteAnswer): string {
  const said = /filename\s*=\s*"?([^";]+)/i.exec(headers.get("content-disposition") ?? "")?.[1];
  const name = said ?? url.pathname.split("/").at(-1) ?? "";
  return name.replace(/[^\w. -]/g, "_").replace(/^\.+/, "").slice(0, 100) || "download";
}
