/** A WebSocket and what is under and over it: heads of HTTP, frames, and the multiplexer's frames. */

import { concat } from "../../../core/bytes.ts";
import { decodeClose, encodeClose } from "../../../transports/websocket/close_frame.ts";
import { encodeFrame, FrameError, mask, Opcode } from "../../../transports/websocket/frame.ts";
import { FrameReader, type ReceivedFrame } from "../../../transports/websocket/frame_reader.ts";
import {
  acceptFor,
  answerRequest,
  checkResponse,
  upgradeRequest,
} from "../../../transports/websocket/handshake.ts";
import {
  formatHead,
  MAX_HEAD,
  parseRequest,
  parseResponse,
  readHead,
} from "../../../transports/websocket/http.ts";
import { Batch } from "../../../core/mux/batch.ts";
import { decodeFrames, Flag, type FrameHandler, FrameType } from "../../../core/mux/frame.ts";
import type { Random } from "../../random.ts";
import { bytes } from "../../text.ts";
import { Allocations } from "../allocations.ts";
import { connOf } from "../chunks.ts";
import { attempt, must, same } from "../expect.ts";
import { BOUNDARIES, mutate } from "../mutate.ts";
import { mutateText } from "../mutate_text.ts";
import type { Target } from "../target.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const MAX_MESSAGE = 65_520;
/** Bytes that reading frames may set aside beyond a constant times what came: for one message. */
const ALLOWANCE = 4 * MAX_MESSAGE;

const request = upgradeRequest("relay.example.com:4433", KEY);
const response = formatHead("HTTP/1.1 101 Switching Protocols", [
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Accept", await acceptFor(KEY)],
  ["Sec-WebSocket-Protocol", "tunnel.1"],
]);
const HEADS = [request, response, "HTTP/1.1 407 Proxy Authentication Required\r\nVia: x\r\n\r\n"];

/** Bytes of a head, and what comes behind it. */
const head: Target = {
  name: "http:head",
  iterations: 1_000,
  make(random) {
    const text = bytes(mutateText(random.pick(HEADS), random, HEADS));
    return random.below(3) === 0 ? mutate(text, random, HEADS.map(bytes)) : text;
  },
  async check(input) {
    const read = await attempt(() => readHead(connOf(input)), ["protocol", "reset"]);
    if ("error" in read) return;
    const { text, rest } = read.value;
    must(text.length <= MAX_HEAD && text.endsWith("\r\n\r\n"), "a head ends with an empty line");
    // What was read behind a head depends on the pieces it came in, and is what follows it.
    same(rest, input.subarray(text.length, text.length + rest.length), "the rest");
    const parsed = await attempt(() => parseRequest(text), ["protocol"]);
    if ("value" in parsed) {
      const answer = await answerRequest(parsed.value);
      must(typeof answer !== "string" || isUpgrade(text), "an upgrade of what asks for none");
    }
    const answered = await attempt(() => parseResponse(text), ["protocol"]);
    if ("value" in answered) must(answered.value.status >= 100 && answered.value.status < 600, "?");
    const opened = await attempt(() => checkResponse(text, KEY), ["protocol", "unreachable"]);
    must("error" in opened || /^HTTP\/1\.[01] 101[ \r]/.test(text), "a tunnel without a 101");
  },
};

/** What every request that is upgraded has, as a reader of text sees it. */
function isUpgrade(text: string): boolean {
  return /^GET \/tunnel[ ?]/.test(text) && /^upgrade:.*websocket/im.test(text) &&
    /^sec-websocket-key:\s*[A-Za-z0-9+/]{22}==\s*$/im.test(text) &&
    /^sec-websocket-protocol:.*tunnel\.1/im.test(text);
}

function anyFrame(random: Random): Uint8Array {
  const length = random.below(16) === 0
    ? random.pick([125, 126, 65_520, 65_535])
    : random.below(60);
  const payload = random.bytes(length);
  switch (random.below(6)) {
    case 0:
      return encodeFrame(Opcode.ping, payload.subarray(0, 125), MASK);
    case 1:
      return encodeFrame(Opcode.close, encodeClose(random.pick(BOUNDARIES), "ü"), MASK);
    case 2: {
      // A message in two pieces.
      const [first, second] = [Opcode.binary, Opcode.continuation].map((opcode) =>
        encodeFrame(opcode, payload, MASK)
      );
      first![0]! &= 0x7f;
      return concat([first!, second!]);
    }
    default:
      return encodeFrame(Opcode.binary, payload, MASK);
  }
}

const frames: Target = {
  name: "websocket:frames",
  iterations: 1_500,
  make(random) {
    const several = Array.from({ length: 1 + random.below(5) }, () => anyFrame(random));
    return mutate(concat(several), random, several);
  },
  async check(input) {
    const expected = readWhole(input.slice());
    using allocations = new Allocations();
    const reader = new FrameReader(connOf(input), { masked: true, maxMessage: MAX_MESSAGE });
    for (let i = 0;; i++) {
      const result = await attempt(() => next(reader), ["protocol"]);
      const found = "error" in result ? closeCode(result.error) : result.value;
      const wanted = expected[i] ?? null;
      if (typeof found === "number" || found === null) {
        same(found, wanted, `the end, behind ${i} frames`);
        break;
      }
      same([found.opcode, found.payload.slice()], wanted, `frame ${i}`);
    }
    must(allocations.bytes <= 6 * input.length + ALLOWANCE, `${allocations.bytes} bytes`);
  },
};

async function next(reader: FrameReader): Promise<ReceivedFrame | null> {
  let frame;
  while (!(frame = reader.take())) if (!await reader.fill()) return null;
  return frame;
}

function closeCode(error: unknown): number {
  must(error instanceof FrameError, "the peer is not told by which code");
  return error.closeCode;
}

/**
 * RFC 6455, section 5.2, read once more and all at once: frames as opcode and payload, then the
 * close code that what follows is worth, if it is not just incomplete.
 */
function readWhole(input: Uint8Array): ([opcode: number, payload: Uint8Array] | number)[] {
  const found: ([number, Uint8Array] | number)[] = [];
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let partial: Uint8Array[] | undefined;
  for (let at = 0; input.length - at >= 2;) {
    const [first, second] = [input[at]!, input[at + 1]!];
    const opcode = first & 15;
    const final = first >= 128;
    const isControl = opcode >= 8;
    let length: number = second & 127;
    if (first & 0x70 || ![0, 1, 2, 8, 9, 10].includes(opcode)) return [...found, 1002];
    if (isControl && (!final || length > 125)) return [...found, 1002];
    const extended = length === 126 ? 2 : length === 127 ? 8 : 0;
    const size = 2 + extended + (second >= 128 ? 4 : 0);
    if (input.length - at < size) return found;
    if (extended > 0) {
      const long = extended === 2 ? BigInt(view.getUint16(at + 2)) : view.getBigUint64(at + 2);
      if (long < (extended === 2 ? 126n : 65_536n)) return [...found, 1002];
      length = Number(long);
      if (long >= 2n ** 53n) return [...found, 1009];
    }
    if (second < 128) return [...found, 1002];
    if (opcode === 1) return [...found, 1003];
    if ((opcode === 0) !== (partial !== undefined) && !isControl) return [...found, 1002];
    const held = partial?.reduce((sum, part) => sum + part.length, 0) ?? 0;
    if (!isControl && held + length > MAX_MESSAGE) return [...found, 1009];
    if (input.length - at < size + length) return found;
    const payload = input.slice(at + size, at + size + length);
    mask(payload, input.subarray(at + size - 4, at + size));
    at += size + length;
    if (isControl) found.push([opcode, payload]);
    else partial = [...partial ?? [], payload];
    if (isControl || !final) continue;
    found.push([2, concat(partial!)]);
    partial = undefined;
  }
  return found;
}

const close: Target = {
  name: "websocket:close",
  iterations: 1_000,
  make: (random) => mutate(encodeClose(random.pick([1000, 1002, 3000, 4999]), "gone ü"), random),
  async check(input) {
    const result = await attempt(() => decodeClose(input), ["protocol"]);
    if ("error" in result) return void closeCode(result.error);
    const { code, reason } = result.value;
    if (code === 1005) return same(input.length, 0, "no code");
    same(decodeClose(encodeClose(code, reason)).code, code, "encoded again");
  },
};

function anyMuxFrame(batch: Batch, random: Random): void {
  const id = random.below(5);
  const value = random.pick(BOUNDARIES) % 2 ** 32;
  switch (random.below(5)) {
    case 0:
      return batch.settings({
        ...{ streams: value, window: value, idleTimeout: value, restTimeout: value },
      });
    case 1:
      return batch.close(value, random.pick(["", "gone", "ü".repeat(60)]));
    case 2: {
      const { open, end, blocked } = Flag;
      return batch.data(id, random.pick([0, open, end, blocked, open | end]), random.bytes(30));
    }
    default:
      return batch.control(random.below(9), id, value);
  }
}

const mux: Target = {
  name: "mux:frames",
  iterations: 2_000,
  make(random) {
    const batch = new Batch(0);
    for (let i = random.below(6); i >= 0; i--) anyMuxFrame(batch, random);
    return mutate(batch.message.slice(), random);
  },
  async check(input) {
    const again = new Batch(0);
    let closed = false;
    const handler = {
      ...writerOf(again),
      closing: (code: number, reason: string) => {
        closed = true;
        again.close(code, reason);
      },
    };
    // A message has a limit below this decoder.
    const message = input.subarray(0, MAX_MESSAGE);
    const result = await attempt(() => decodeFrames(message, handler), ["protocol"]);
    const written = again.message;
    // A mark in front of a text (U+FEFF) is not part of it, so a CLOSE may come out shorter.
    if (!closed) same(written, message.subarray(0, written.length), "encoded again");
    // All was understood, but for what stands behind a CLOSE.
    must("error" in result || closed || written.length === message.length, "frames were left out");
  },
};

/** Encodes what it is told. */
function writerOf(batch: Batch): Omit<FrameHandler, "closing"> {
  return {
    settings: (settings) => batch.settings(settings),
    data: (id, flags, payload) => {
      must(id > 0, "DATA without a stream");
      batch.data(id, flags, payload);
    },
    reset: (id, code) => batch.control(FrameType.reset, id, code),
    stop: (id, code) => batch.control(FrameType.stop, id, code),
    credit: (id, more) => batch.control(FrameType.credit, id, more),
    streams: (more) => batch.control(FrameType.streams, 0, more),
    ping: (value) => batch.control(FrameType.ping, 0, value),
    pong: (value) => batch.control(FrameType.pong, 0, value),
  };
}

export const websockets: Target[] = [head, frames, close, mux];
