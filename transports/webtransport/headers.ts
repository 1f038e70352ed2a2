/** The head of a request or a response: its HEADERS frame, and what may come before it. */

import { Http3Code, Http3Error } from "./errors.ts";
import { type FrameReader, FrameType, isUnknown } from "./frame.ts";
import { decodeFields, type Field, MAX_SECTION } from "./qpack.ts";

/** Null when the stream ends without. @throws {Http3Error} when something else comes first */
export async function readHeaders(frames: FrameReader): Promise<Field[] | null> {
  for (let header; (header = await frames.next());) {
    if (header.type === FrameType.headers) return decodeFields(await frames.payload(MAX_SECTION));
    if (!isUnknown(header.type)) {
      const code = header.type === FrameType.webTransport
        ? Http3Code.frameError
        : Http3Code.frameUnexpected;
      throw new Http3Error(code, `frame type ${header.type} comes before HEADERS`);
    }
    await frames.skip();
  }
  return null;
}
