/**
 * xterm.js writes style elements and attributes, which the page's policy forbids, as it should. From
 * the first terminal on both become what the policy allows: sheets and declarations of the object
 * model. Nothing else of the page makes either.
 */

/** Has a page's new elements take styles so; the second time changes nothing. */
export function adoptStyles(page: Document): void {
  page.createElement =
    ((tag: string) =>
      tag === "style" ? styleElement(page) : styledElement(page, tag)) as typeof page.createElement;
}

function styledElement(page: Document, tag: string): HTMLElement {
  const element = create(page, tag);
  const setAttribute = element.setAttribute.bind(element);
  element.setAttribute = (name, value) => {
    if (name === "style") element.style.cssText = value;
    else setAttribute(name, value);
  };
  return element;
}

/** One whose text goes to a sheet that the page has adopted, for as long as the element is there. */
function styleElement(page: Document): HTMLElement {
  // Even an empty style element is one too many for the policy.
  const element = create(page, "meta");
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

/** By the platform's own, whatever stands in front of it. */
function create(page: Document, tag: string): HTMLElement {
  return Document.prototype.createElement.call(page, tag);
}
