/** Links, forms and windows of a device's page: where they lead, the tab around it is told. */

import type { PageRequest } from "../messages.ts";
import type { Bridge } from "./bridge.ts";

/** @param page the page's own address */
export function installNavigation(bridge: Bridge, page: string): void {
  const go = (request: PageRequest) => bridge.tell({ type: "navigate", ...request });
  const open = (address: string) => {
    const url = new URL(address, document.baseURI);
    const here = new URL(page);
    const isHere = url.href.split("#")[0] === here.href.split("#")[0];
    if (isHere && url.hash !== "") return scrollTo(url.hash);
    go({ url: url.href, method: "GET", headers: [] });
  };
  globalThis.open = (address) => {
    if (address) open(String(address));
    return null;
  };
  HTMLFormElement.prototype.submit = function () {
    submit(this, null, go);
  };
  // On the window, behind the page's own listeners, which may have a say.
  addEventListener("click", (event) => {
    const target = event.composedPath()[0];
    const link = target instanceof Element
      ? target.closest<HTMLAnchorElement>("a[href],area[href]")
      : null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    const address = link.getAttribute("href")!;
    if (/^\s*(?:javascript|blob|data|mailto|tel):/i.test(address)) return;
    event.preventDefault();
    open(address);
  });
  addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    submit(event.target as HTMLFormElement, event.submitter, go);
  });
  // A page without an origin may not change its address: what it shows, it may.
  history.pushState = history.replaceState = () => {};
}

function scrollTo(hash: string): void {
  const id = decodeURIComponent(hash.slice(1));
  (document.getElementById(id) ?? document.getElementsByName(id)[0])?.scrollIntoView();
}

async function submit(
  form: HTMLFormElement,
  submitter: HTMLElement | null,
  go: (request: PageRequest) => void,
): Promise<void> {
  const said = (name: string) =>
    submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name) ?? "";
  const data = new FormData(form, submitter);
  const url = new URL(said("action"), document.baseURI);
  if (said("method").toLowerCase() !== "post") {
    url.search = new URLSearchParams(texts(data)).toString();
    return go({ url: url.href, method: "GET", headers: [] });
  }
  const isMultipart = said("enctype").toLowerCase() === "multipart/form-data";
  // The platform writes both forms, and says of which type they are.
  const body = new Response(isMultipart ? data : new URLSearchParams(texts(data)));
  const type = body.headers.get("content-type")!;
  const bytes = new Uint8Array(await body.arrayBuffer());
  go({ url: url.href, method: "POST", headers: [["Content-Type", type]], body: bytes });
}

function texts(data: FormData): [string, string][] {
  return [...data].map(([name, value]) => [name, typeof value === "string" ? value : value.name]);
}
