/**
 * What a page is made of: scripts, styles, images. A page without an origin loads nothing by an
 * address, so that each is asked for through the tab around it and put into the address's place.
 */

import type { Bridge } from "./bridge.ts";

/** Sheets that import sheets that import sheets. */
const MAX_DEPTH = 5;
/** Where addresses are, beside those of scripts and sheets. */
const MEDIA = "img[src],input[type=image][src],audio[src],video[src],source[src],embed[src]," +
  "video[poster],[background]";
const CSS_URL =
  /url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)|@import\s+(?:"([^"]*)"|'([^']*)')/g;

export class Resources {
  readonly #bridge: Bridge;
  /** By absolute address: what stands for it here, or none where the device has none. */
  readonly #loaded = new Map<string, Promise<string | undefined>>();

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
  }

  /** Puts everything that a document names into its place. */
  async embed(page: ParentNode, base: string): Promise<void> {
    const work: Promise<void>[] = [];
    for (const element of page.querySelectorAll<HTMLLinkElement>("link[href]")) {
      work.push(this.#link(element, base));
    }
    for (const element of page.querySelectorAll("script[src]")) {
      work.push(this.#replace(element, "src", base));
    }
    for (const element of page.querySelectorAll(MEDIA)) work.push(this.media(element, base));
    for (const element of page.querySelectorAll("style")) {
      const text = element.textContent ?? "";
      work.push(this.css(text, base).then((css) => void (element.textContent = css)));
    }
    for (const element of page.querySelectorAll("[style*='url(']")) {
      work.push(this.#style(element, base));
    }
    await Promise.all(work);
  }

  /** The addresses of one element, where they are not in their place yet. */
  async media(element: Element, base: string): Promise<void> {
    element.removeAttribute("srcset");
    for (const name of ["src", "poster", "background"]) await this.#replace(element, name, base);
  }

  /** What stands for an address here; undefined when the device has nothing there. */
  load(address: string, base: string): Promise<string | undefined> {
    if (!URL.canParse(address, base) || isHere(address)) return Promise.resolve(address);
    const url = new URL(address, base).href;
    const known = this.#loaded.get(url);
    if (known) return known;
    const loading = this.#load(url);
    this.#loaded.set(url, loading);
    return loading;
  }

  /** A sheet's text with what it names in its place. */
  async css(text: string, base: string, depth = 0): Promise<string> {
    const found = [...text.matchAll(CSS_URL)];
    const places = await Promise.all(found.map(async (match) => {
      const isImport = match[0].startsWith("@");
      const address = match.slice(1).find((part) => part !== undefined) ?? "";
      if (address === "" || address.startsWith("#") || isHere(address)) return match[0];
      const isSheet = isImport || /@import\s*$/.test(text.slice(0, match.index));
      const place = isSheet
        ? await this.#sheet(address, base, depth + 1)
        : await this.load(address, base);
      return `${isImport ? "@import " : ""}url("${place ?? "data:,"}")`;
    }));
    let result = "";
    let from = 0;
    found.forEach((match, i) => {
      result += text.slice(from, match.index) + places[i];
      from = match.index + match[0].length;
    });
    return result + text.slice(from);
  }

  async #load(url: string): Promise<string | undefined> {
    try {
      const { status, headers, body } = await this.#bridge.get(url);
      if (status >= 400) return undefined;
      const type = new Headers(headers).get("content-type") ?? "";
      return URL.createObjectURL(new Blob([body], { type }));
    } catch {
      return undefined; // As a picture that is not there: the page's own `error` events say so.
    }
  }

  /** A sheet of its own, since its addresses are relative to it. */
  async #sheet(address: string, base: string, depth: number): Promise<string | undefined> {
    if (depth > MAX_DEPTH || !URL.canParse(address, base)) return undefined;
    try {
      const { status, url, body } = await this.#bridge.get(new URL(address, base).href);
      if (status >= 400) return undefined;
      const css = await this.css(new TextDecoder().decode(body), url, depth);
      return URL.createObjectURL(new Blob([css], { type: "text/css" }));
    } catch {
      return undefined; // The page is shown without it.
    }
  }

  async #link(element: HTMLLinkElement, base: string): Promise<void> {
    const address = element.getAttribute("href")!;
    const isSheet = /(?:^|\s)stylesheet(?:\s|$)/i.test(element.rel);
    // Icons, preloads and manifests: nobody would get them.
    if (!isSheet) return element.remove();
    const place = isHere(address) ? address : await this.#sheet(address, base, 0);
    if (place === undefined) element.removeAttribute("href");
    else element.setAttribute("href", place);
    element.removeAttribute("integrity");
  }

  async #replace(element: Element, name: string, base: string): Promise<void> {
    const address = element.getAttribute(name);
    if (address === null || address === "" || isHere(address)) return;
    const place = await this.load(address, base);
    element.setAttribute(name, place ?? "data:,");
  }

  async #style(element: Element, base: string): Promise<void> {
    element.setAttribute("style", await this.css(element.getAttribute("style") ?? "", base));
  }
}

/** Whether an address stands for something that is here already. */
export function isHere(address: string): boolean {
  return /^\s*(?:blob|data|about|javascript):/i.test(address);
}
