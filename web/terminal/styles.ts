/**
 * xterm.js writes style elements and attributes, which the page's policy forbids, as it should. Here
 * both become what the policy allows: a sheet and declarations of the object model.
 */

/** A document to give to a terminal. Whatever it makes belongs to the page's own. */
export function styledDocument(page: Document): Document {
  return new Proxy(page, {
    get(target, name) {
      if (name === "createElement") return (tag: string) => styledElement(target, tag);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function styledElement(page: Document, tag: string): HTMLElement {
  if (tag === "style") return styleElement(page);
  const element = page.createElement(tag);
  const setAttribute = element.setAttribute.bind(element);
  element.setAttribute = (name, value) => {
    if (name === "style") element.style.cssText = value;
    else setAttribute(name, value);
  };
  return element;
}

/** One whose text goes to a sheet that the page has adopted, for as long as the element is there. */
function styleElement(page: Document): HTMLElement {
  const element = page.createElement("style");
  const sheet = new CSSStyleSheet();
  page.adoptedStyleSheets = [...page.adoptedStyleSheets, sheet];
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set(css: string) {
      text = css;
      sheet.replaceSync(css);
    },
  });
  Object.defineProperty(element, "sheet", { get: () => sheet });
  const remove = element.remove.bind(element);
  element.remove = () => {
    page.adoptedStyleSheets = page.adoptedStyleSheets.filter((one) => one !== sheet);
    remove();
  };
  return element;
}

/** Runs what makes style elements by the page's own document, whatever it was given. */
export function withStyledDocument(page: Document, work: () => void): void {
  const { createElement } = styledDocument(page);
  page.createElement = createElement;
  try {
    work();
  } finally {
    // The prototype's is there again.
    delete (page as { createElement?: unknown }).createElement;
  }
}
