/**
 * What the console's tests have a browser do in a page, as text: the page's policy allows no function
 * made of text, so that each is an expression for the debugger.
 */

import type { Frame, Page } from "playwright-core";
import { bounded } from "./bounded.ts";

/** What the browser keeps of identities, as a script of the page sees it. */
export const KEPT_KEYS = `(async () => {
  const result = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await result(indexedDB.open("tunnel"));
  const all = await result(database.transaction("identities").objectStore("identities").getAll());
  database.close();
  const keys = all.flatMap((one) => [one.privateKey.privateKey, one.agreementKey.privateKey]);
  const exported = await Promise.all(
    keys.map((key) => crypto.subtle.exportKey("jwk", key).then(() => "yes", () => "no")),
  );
  return { identities: all.length, extractable: keys.map((key) => key.extractable), exported };
})()`;

/** The devices of the list, in its order. */
export const ROW_NAMES =
  `[...document.querySelectorAll(".row .name")].map((element) => element.textContent).join()`;

/** The start of what has the focus. */
export const FOCUSED = `document.activeElement.textContent.slice(0, 15)`;

/** The rows that have the focus, one after the other, when two keys come within a frame in the first. */
export const KEYS = `(async () => {
  const frames = async () => {
    for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame);
  };
  const press = (key) =>
    document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }),
    );
  press("Home");
  await frames();
  const focused = [];
  const note = ({ target }) => focused.push(target.textContent.slice(0, 1));
  document.addEventListener("focusin", note);
  press("ArrowDown");
  press("End");
  await frames();
  document.removeEventListener("focusin", note);
  return focused;
})()`;

/** How a device's page looks that has a heading and pictures. */
export const LOOK = `(() => {
  const { color, backgroundImage } = getComputedStyle(document.querySelector("h1"));
  const pictures = [...document.querySelectorAll("img")].map((image) => image.naturalWidth);
  return { color, background: backgroundImage.slice(0, 9), pictures };
})()`;

/** How many pixels of the page are beside the screen. */
export const OVERFLOW = `document.documentElement.scrollWidth - innerWidth`;

/** Waits until an expression comes to a value, at each frame that the page shows. */
export async function until(
  page: Page | Frame,
  expression: string,
  value: unknown = true,
): Promise<void> {
  const wanted = JSON.stringify(value);
  const arrival = page.evaluate(`(async () => {
    while (JSON.stringify(${expression}) !== ${JSON.stringify(wanted)}) {
      await new Promise(requestAnimationFrame);
    }
  })()`);
  await bounded(`${expression} to be ${wanted}`, arrival);
}
