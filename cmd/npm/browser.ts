/** The npm package in browsers: an operator's end. Exports, and nothing else. */

export { connect } from "../../transports/runtime/browser.ts";
export { indexedDbStore } from "../../stores/indexeddb.ts";
export * from "./common.ts";
