/**
 * What a device's page and the tab around it tell each other, over a port that only the two have. The
 * page is a stranger: what comes of it is read by these forms, and nothing else is.
 */

import * as v from "valibot";
import { MAX_BODY } from "./http1.ts";

/** Characters of an address. */
const MAX_URL = 16_384;

const Header = v.tuple([
  v.pipe(v.string(), v.maxLength(200)),
  v.pipe(v.string(), v.maxLength(16_384)),
]);
const request = {
  url: v.pipe(v.string(), v.maxLength(MAX_URL)),
  method: v.pipe(v.string(), v.regex(/^[A-Za-z]{1,20}$/)),
  headers: v.pipe(v.array(Header), v.maxLength(100)),
  body: v.optional(
    v.pipe(v.instance(Uint8Array), v.check(({ length }) => length <= MAX_BODY, "a shorter body")),
  ),
};

/** Of a page. */
export const FromPage = v.variant("type", [
  /** Something that it needs: answered with `answer` of the same ID. */
  v.object({ type: v.literal("request"), id: v.number(), ...request }),
  /** It wants to be another page. */
  v.object({ type: v.literal("navigate"), ...request }),
  v.object({ type: v.literal("title"), title: v.pipe(v.string(), v.maxLength(1_000)) }),
  v.object({ type: v.literal("cookie"), text: v.pipe(v.string(), v.maxLength(8_192)) }),
  /** A value of `localStorage` or `sessionStorage`; without one it is removed. */
  v.object({
    type: v.literal("store"),
    area: v.picklist(["local", "session"]),
    key: v.pipe(v.string(), v.maxLength(10_000)),
    value: v.optional(v.pipe(v.string(), v.maxLength(1_000_000))),
  }),
]);
export type FromPage = v.InferOutput<typeof FromPage>;
export type PageRequest = Omit<Extract<FromPage, { type: "navigate" }>, "type">;

/** The page to be, as the tab tells the frame with a port. */
export interface PageToShow {
  readonly html: string;
  /** Its address: the relay's origin and the device's path. */
  readonly url: string;
  readonly cookie: string;
  readonly storage: Record<"local" | "session", [string, string][]>;
}

/** The answer to a request, or why there is none. */
export interface Answer {
  readonly type: "answer";
  readonly id: number;
  readonly failure?: string;
  readonly url: string;
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: Uint8Array<ArrayBuffer>;
  /** What scripts may see by now. */
  readonly cookie: string;
}
