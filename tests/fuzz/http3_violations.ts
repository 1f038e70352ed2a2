/** What no client of HTTP/3 may say, and the codes that it may be told for it. */

import { concat } from "../../core/bytes.ts";
import { CapsuleType, encodeCapsule } from "../../transports/webtransport/capsule.ts";
import { Http3Code } from "../../transports/webtransport/errors.ts";
import { encodeFrame, FrameType, StreamType } from "../../transports/webtransport/frame.ts";
import { encodeVarint } from "../../transports/webtransport/varint.ts";
import type { FakeQuic, FakeStream } from "./fake_quic.ts";
import type { Tape } from "./target.ts";

/** A client as far as it has come. */
export interface Speaker {
  readonly conn: FakeQuic;
  readonly control: FakeStream;
  /** The session's, where there is one. */
  readonly connect: FakeStream | undefined;
  /** What its last GOAWAY said, or more. */
  readonly goaway: bigint;
  readonly tape: Tape;
  unidirectional(type: bigint, payload?: Uint8Array<ArrayBuffer>): void;
  bidirectional(bytes: Uint8Array<ArrayBuffer>): void;
}

export interface Violation {
  /** What must have been before: its settings, room for a request, a session. */
  readonly needs?: "settings" | "request" | "session";
  readonly codes: readonly number[];
  readonly say: (speaker: Speaker) => void;
}

const EMPTY = new Uint8Array(0);

export const VIOLATIONS: readonly Violation[] = [
  {
    needs: "settings",
    codes: [Http3Code.frameUnexpected],
    say: ({ control }) => control.say(encodeFrame(FrameType.settings, EMPTY)),
  },
  {
    needs: "settings",
    codes: [Http3Code.frameUnexpected],
    say: ({ control, tape }) =>
      control.say(encodeFrame(tape.pick([0x00n, 0x01n, 0x02n, 0x05n, 0x08n, 0x41n]), EMPTY)),
  },
  {
    needs: "settings",
    codes: [Http3Code.idError],
    say({ control, goaway }) {
      control.say(encodeFrame(FrameType.goaway, encodeVarint(goaway)));
      control.say(encodeFrame(FrameType.goaway, encodeVarint(goaway + 1n)));
    },
  },
  {
    needs: "settings",
    codes: [Http3Code.idError],
    say: ({ control }) => control.say(encodeFrame(FrameType.cancelPush, encodeVarint(0))),
  },
  {
    needs: "settings",
    codes: [Http3Code.frameError],
    say: ({ control }) => control.say(encodeFrame(FrameType.maxPushId, Uint8Array.of(0x40))),
  },
  {
    needs: "settings",
    codes: [Http3Code.closedCriticalStream],
    say: ({ control }) => control.end(),
  },
  {
    codes: [Http3Code.streamCreationError],
    say: ({ unidirectional }) => unidirectional(StreamType.control),
  },
  {
    codes: [Http3Code.streamCreationError],
    say: ({ unidirectional }) => unidirectional(StreamType.push),
  },
  {
    // As a second one it would be wrong all the same.
    codes: [Http3Code.qpackEncoderStreamError, Http3Code.streamCreationError],
    say: ({ unidirectional }) => unidirectional(StreamType.qpackEncoder, Uint8Array.of(0x3f, 0x01)),
  },
  {
    codes: [Http3Code.qpackDecoderStreamError, Http3Code.streamCreationError],
    say: ({ unidirectional, tape }) =>
      unidirectional(StreamType.qpackDecoder, Uint8Array.of(tape.pick([0x01, 0x81]))),
  },
  {
    codes: [Http3Code.datagramError],
    say: ({ conn, tape }) =>
      conn.sayDatagram(tape.pick([EMPTY, Uint8Array.of(0x40), encodeVarint(2n ** 61n)])),
  },
  {
    codes: [Http3Code.idError],
    say: ({ bidirectional }) =>
      bidirectional(concat([encodeVarint(FrameType.webTransport), encodeVarint(3)])),
  },
  {
    needs: "request",
    codes: [Http3Code.frameUnexpected],
    say: ({ bidirectional, tape }) =>
      bidirectional(encodeFrame(tape.pick([0x00n, 0x04n, 0x07n]), EMPTY)),
  },
  {
    needs: "request",
    codes: [Http3Code.qpackDecompressionFailed],
    say: ({ bidirectional }) =>
      bidirectional(encodeFrame(FrameType.headers, Uint8Array.of(0, 0, 0x80))),
  },
  {
    needs: "session",
    codes: [Http3Code.frameUnexpected],
    say: ({ connect }) => connect!.say(encodeFrame(FrameType.headers, EMPTY)),
  },
  {
    needs: "session",
    codes: [Http3Code.messageError],
    say: ({ connect }) =>
      connect!.say(encodeFrame(FrameType.data, encodeCapsule(CapsuleType.close, EMPTY))),
  },
];
