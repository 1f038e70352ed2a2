/** What scripts add to a page later: its addresses are put into their place when they are set. */

import { isHere, type Resources } from "./resources.ts";

/** Elements and their properties by which something is loaded. */
const LOADS = [
  [HTMLImageElement, "src"],
  [HTMLScriptElement, "src"],
  [HTMLMediaElement, "src"],
  [HTMLSourceElement, "src"],
] as const;

export function installDynamic(resources: Resources): void {
  for (const [kind, name] of LOADS) patch(kind.prototype, name, resources);
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    const isLoad = name.toLowerCase() === "src" && LOADS.some(([kind]) => this instanceof kind);
    if (isLoad && !isHere(value)) (this as HTMLImageElement).src = value;
    else setAttribute.call(this, name, value);
  };
  new MutationObserver((records) => {
    for (const { addedNodes } of records) {
      for (const node of addedNodes) {
        if (node instanceof Element) added(node, resources);
      }
    }
  }).observe(document, { childList: true, subtree: true });
}

/** What came as markup. */
function added(element: Element, resources: Resources): void {
  const base = document.baseURI;
  const parent = element.parentElement;
  // Sheets and pictures; a script that comes as markup does not run, so that none is looked for.
  if (element.matches("link[rel~=stylesheet][href]")) {
    const address = element.getAttribute("href")!;
    if (!isHere(address) && parent) resources.embed(parent, base);
  } else if (element.matches("img[src],[background]")) resources.media(element, base);
  for (const inner of element.querySelectorAll("img[src],[background]")) {
    resources.media(inner, base);
  }
}

function patch(prototype: Element, name: "src", resources: Resources): void {
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, name)!;
  const asked = new WeakMap<object, string>();
  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: Element) {
      return asked.get(this) ?? get!.call(this);
    },
    set(this: Element, value: string) {
      const address = String(value);
      if (address === "" || isHere(address)) {
        asked.delete(this);
        return set!.call(this, address);
      }
      asked.set(this, new URL(address, document.baseURI).href);
      resources.load(address, document.baseURI).then((place) => {
        // Another may have been set meanwhile.
        if (asked.get(this) === new URL(address, document.baseURI).href) {
          set!.call(this, place ?? "data:,");
        }
      });
    },
  });
}
