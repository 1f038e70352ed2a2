/** The npm package in Node. Exports, and nothing else. */

export { connect, serve } from "../../transports/runtime/node.ts";
export { DeviceServer } from "../../core/member/device_server.ts";
export type { ServeOptions } from "../../core/member/open.ts";
export type {
  Accepted,
  DialAcceptor,
  DialHandler,
  DialRequest,
  ServedStream,
} from "../../core/accept.ts";
export { type HttpHandler, httpHandler } from "../../transports/runtime/http.ts";
export { fileStore } from "../../stores/file_store_node.ts";
export * from "./common.ts";
