/** A relay's side of HTTP/3 whose client says anything, judged by what the RFCs say of each thing. */

import { concat } from "../../../core/bytes.ts";
import { TunnelError } from "../../../core/errors.ts";
import type { Stream } from "../../../core/transport.ts";
import {
  CapsuleType,
  encodeCapsule,
  encodeClose,
} from "../../../transports/webtransport/capsule.ts";
import { Http3Code } from "../../../transports/webtransport/errors.ts";
import { encodeFrame, FrameType, StreamType } from "../../../transports/webtransport/frame.ts";
import { encodeFields, type Field } from "../../../transports/webtransport/qpack.ts";
import { sessionRequest } from "../../../transports/webtransport/request.ts";
import { acceptSession } from "../../../transports/webtransport/server.ts";
import type { WebTransportSession } from "../../../transports/webtransport/session.ts";
import { encodeSettings, ownSettings } from "../../../transports/webtransport/settings.ts";
import { encodeVarint } from "../../../transports/webtransport/varint.ts";
import { Leftovers } from "../../leftovers.ts";
import { text as fromBytes } from "../../text.ts";
import { must, same } from "../expect.ts";
import { isEqual, sequence } from "../fake_path.ts";
import { FakeQuic, type FakeStream } from "../fake_quic.ts";
import { VIOLATIONS } from "../http3_violations.ts";
import { Tape, type Target } from "../target.ts";
import { turn, until } from "../turns.ts";

/** Decisions of a script at most. */
const MAX_STEPS = 60;
const MAX_REQUESTS = 32;
const EMPTY = new Uint8Array(0);

export const http3Peer: Target = {
  name: "http3:peer",
  iterations: 300,
  make: (random) => random.bytes(random.below(250)),
  async check(input) {
    using leftovers = new Leftovers();
    const script = new Script(new Tape(input));
    for (let step = 0; step < MAX_STEPS && !script.over; step++) await script.step();
    await script.end();
    same(leftovers.timers, 0, "timers left behind");
  },
};

/** A stream of the session's, as the script knows it. */
interface Sent {
  readonly stream: FakeStream;
  readonly seed: number;
  said: number;
  ended: boolean;
  /** Taken by the application. */
  taken: boolean;
}

class Script {
  readonly #tape: Tape;
  readonly #conn = new FakeQuic(true);
  readonly #stop = new AbortController();
  readonly #sent: Sent[] = [];
  readonly #pending: Promise<unknown>[] = [];
  readonly #control: FakeStream;
  #session?: WebTransportSession;
  #connect?: FakeStream;
  /** Requests for a session behind the one that gets it. */
  readonly #others: FakeStream[] = [];
  #outcome?: string;
  /** What the session ended with. */
  #closed?: string;
  #hasSettings = false;
  #requests = 0;
  /** Streams of the script's that were opened, requests included. */
  #opened = 0;
  #goaway = 1_000n;
  #maxPush = 0n;
  #hasQpack = [false, false];
  #isClosed = false;
  /** The codes that fit what was said; none while nothing was wrong. */
  #wrong?: readonly number[];

  constructor(tape: Tape) {
    this.#tape = tape;
    const allowsOrigin = (origin: string) => origin === "https://ok";
    const { signal } = this.#stop;
    acceptSession(this.#conn, { allowsOrigin, signal }).then(
      (session) => {
        this.#session = session;
        this.#outcome = "session";
        session.closed.then(
          ({ code }) => this.#closed = `closed ${code}`,
          (error) => this.#closed = error.code,
        );
      },
      (error) => {
        if (!(error instanceof TunnelError)) throw error;
        this.#outcome = error.code;
      },
    );
    this.#control = this.#unidirectional(StreamType.control);
    if (!tape.chance(8)) this.#greet();
  }

  get over(): boolean {
    return this.#tape.ended || this.#wrong !== undefined || this.#conn.over || this.#isClosed;
  }

  async step(): Promise<void> {
    const tape = this.#tape;
    const kind = tape.byte() % 20;
    if (kind === 0) this.#greet();
    else if (kind === 1) this.#sayOnControl();
    else if (kind === 2) this.#sayOnQpack();
    else if (kind === 3) this.#request();
    else if (kind < 6) this.#ask();
    else if (kind < 9) this.#stream();
    else if (kind < 12) this.#sayOnStream();
    else if (kind === 12) this.#datagram();
    else if (kind === 13) this.#capsule();
    else if (kind < 17) await this.#accept();
    else if (kind === 17) this.#openStream();
    else if (kind === 18 && tape.chance(3)) this.#violate();
    else if (tape.chance(16)) this.#leave();
    await this.#settle();
  }

  /** Whatever way it went, what was wrong was found, what was right was not, and nothing waits. */
  async end(): Promise<void> {
    await this.#settle();
    if (this.#wrong) {
      await until(() => this.#conn.over, () => `no end, for one of ${this.#wrong}`);
      const { closeCode, reason } = this.#conn.closing!;
      must(
        this.#wrong.includes(closeCode),
        `0x${closeCode.toString(16)} (${reason}) in place of it`,
      );
    } else if (this.#conn.closing && !this.#isClosed) {
      same(this.#conn.closing.closeCode, Http3Code.noError, this.#conn.closing.reason);
    }
    for (const { heard } of this.#others) {
      must(!fromBytes(heard).includes("200"), "a second session");
    }
    if (this.#tape.chance(2)) this.#conn.lose();
    else this.#conn.leave({ closeCode: Http3Code.noError, reason: "" });
    this.#stop.abort(new TunnelError("aborted", { action: "test", state: "it is over" }));
    await until(() => this.#outcome !== undefined, "accepting goes on");
    await until(() => !this.#session || this.#closed !== undefined, "the session goes on");
    await Promise.all(this.#pending);
    await turn();
  }

  /** All that needs no event from outside has happened. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 12; i++) await turn();
    if (!this.#session || this.#wrong) return;
    must(this.#hasSettings, "a session before the client's settings");
  }

  #greet(): void {
    if (this.#hasSettings) return;
    this.#hasSettings = true;
    const grease = new Map([...ownSettings(), [0x21n, 5n]]);
    this.#pieces(this.#control, encodeFrame(FrameType.settings, encodeSettings(grease)));
  }

  #sayOnControl(): void {
    if (!this.#hasSettings) return;
    const tape = this.#tape;
    const kind = tape.byte() % 3;
    if (kind === 0) {
      this.#pieces(this.#control, encodeFrame(0x21n, sequence(0, tape.byte(), 1)));
    } else if (kind === 1) {
      this.#goaway -= BigInt(tape.below(3));
      this.#control.say(encodeFrame(FrameType.goaway, encodeVarint(this.#goaway)));
    } else {
      this.#maxPush += BigInt(tape.below(300));
      this.#control.say(encodeFrame(FrameType.maxPushId, encodeVarint(this.#maxPush)));
    }
  }

  /** The streams that may be said, and ones that mean nothing. */
  #sayOnQpack(): void {
    const which = this.#tape.byte() % 3;
    if (which === 2) {
      const type = this.#tape.pick([0x21n, 0x40n, StreamType.webTransport]);
      this.#unidirectional(type, concat([encodeVarint(0), sequence(0, 99, 2)]));
    } else if (!this.#hasQpack[which]) {
      this.#hasQpack[which] = true;
      if (which === 0) this.#unidirectional(StreamType.qpackEncoder, Uint8Array.of(0x20, 0x20));
      else this.#unidirectional(StreamType.qpackDecoder, Uint8Array.of(0x41, 0x7f, 0x80, 0x01));
    }
  }

  /** A request that is none for a session, or a second one for one. */
  #request(): void {
    if (this.#requests >= MAX_REQUESTS) return;
    const stream = this.#bidirectional();
    this.#requests++;
    const fields = this.#tape.chance(2) ? PAGE : REFUSED;
    // Whoever is refused a session, and has none, is shown the way out.
    if (fields === REFUSED && !this.#connect) this.#isClosed = true;
    this.#pieces(stream, encodeFrame(FrameType.headers, encodeFields(fields)));
  }

  /** Asks for the session; once, it is for what follows. */
  #ask(): void {
    if (this.#requests >= MAX_REQUESTS) return;
    const stream = this.#bidirectional();
    this.#requests++;
    if (this.#connect) this.#others.push(stream);
    else this.#connect = stream;
    const unknown = this.#tape.chance(4) ? encodeFrame(0x21n, sequence(0, 50, 3)) : EMPTY;
    const head = encodeFrame(FrameType.headers, encodeFields(sessionRequest("relay.example")));
    this.#pieces(stream, concat([unknown, head]));
  }

  /** A stream of the session's, or of one that there is not. */
  #stream(): void {
    const id = this.#connect?.readable.id ?? 0n;
    const isOther = this.#tape.chance(8);
    const prefix = concat([
      encodeVarint(FrameType.webTransport),
      encodeVarint(isOther ? id + 400n : id),
    ]);
    const stream = this.#bidirectional();
    this.#pieces(stream, prefix);
    // The request that will be the session's is not known before it is made.
    if (!isOther && this.#connect) {
      this.#sent.push({ stream, seed: this.#opened, said: 0, ended: false, taken: false });
    }
  }

  #sayOnStream(): void {
    if (this.#sent.length === 0) return;
    const sent = this.#tape.pick(this.#sent);
    if (sent.ended) return;
    const length = this.#tape.pick([0, 1, 70, 3_000]);
    this.#pieces(sent.stream, sequence(sent.said, length, sent.seed));
    sent.said += length;
    if (!this.#tape.chance(4)) return;
    sent.ended = true;
    sent.stream.end();
  }

  #datagram(): void {
    const id = this.#tape.pick([this.#connect?.readable.id ?? 0n, 400n]);
    this.#conn.sayDatagram(concat([encodeVarint(id / 4n), sequence(0, 20, 4)]));
  }

  #capsule(): void {
    if (!this.#session || !this.#connect) return;
    const tape = this.#tape;
    if (tape.chance(12)) {
      this.#isClosed = true;
      this.#pieces(this.#connect, data(encodeClose({ code: 77, reason: "enough" })));
    } else if (tape.chance(6)) {
      this.#pieces(this.#connect, encodeFrame(0x40n, sequence(0, 30, 5)));
    } else {
      const type = tape.pick([0x29n, CapsuleType.drain, 0x190b4d3dn]);
      const capsule = data(encodeCapsule(type, sequence(0, tape.byte(), 6)));
      this.#pieces(this.#connect, capsule);
    }
  }

  /** The application takes a stream and reads what has come of it. */
  async #accept(): Promise<void> {
    const next = this.#sent.find(({ taken, stream }) => !taken && !stream.stopped);
    if (!this.#session || !next || this.#isClosed) return;
    const { value } = await this.#session.incoming.next();
    if (!value) return;
    // Streams wait for their first bytes on their own, so any of them may be the first.
    const sent = this.#sent.find(({ stream }) => stream === value);
    must(sent !== undefined && !sent.taken, "a stream that was not said, or twice");
    sent.taken = true;
    this.#pending.push(this.#read(value, sent));
  }

  async #read(stream: Stream, sent: Sent): Promise<void> {
    const reader = stream.readable.getReader();
    let read = 0;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return must(sent.ended && read === sent.said, "an early end");
        must(isEqual(value, sequence(read, value.length, sent.seed)), "other bytes");
        read += value.length;
      }
    } catch (error) {
      // The connection has ended; anything else is a finding.
      if (!this.#conn.over) throw error;
    }
  }

  #openStream(): void {
    const session = this.#session;
    if (!session || this.#isClosed) return;
    const before = this.#conn.opened.length;
    const opening = session.openStream().then(async ({ writable }) => {
      const writer = writable.getWriter();
      await writer.write(sequence(0, 10, 7));
      const expected = concat([
        encodeVarint(FrameType.webTransport),
        encodeVarint(session.id),
        sequence(0, 10, 7),
      ]);
      same(this.#conn.opened[before]!.heard, expected, "what a stream starts with");
    });
    this.#pending.push(opening.catch((error) => {
      if (!this.#conn.over) throw error;
    }));
  }

  #leave(): void {
    if (!this.#session || this.#isClosed) return;
    this.#isClosed = true;
    this.#session.close({ code: 2, reason: "enough" });
    this.#connect!.end();
  }

  /** Something that no client may say, if it would be understood as such by now. */
  #violate(): void {
    const { needs, codes, say } = this.#tape.pick(VIOLATIONS);
    if (needs === "settings" && !this.#hasSettings) {
      this.#control.say(encodeFrame(0x21n, EMPTY));
      this.#wrong = [Http3Code.missingSettings];
      return;
    }
    if (needs === "request" && this.#requests >= MAX_REQUESTS) return;
    if (needs === "session" && !this.#session) return;
    this.#wrong = codes;
    say({
      conn: this.#conn,
      control: this.#control,
      connect: this.#connect,
      goaway: this.#goaway,
      tape: this.#tape,
      unidirectional: (type, payload) => this.#unidirectional(type, payload),
      bidirectional: (bytes) => this.#bidirectional(bytes),
    });
  }

  #unidirectional(type: bigint, payload = EMPTY): FakeStream {
    const stream = this.#conn.openUnidirectional();
    stream.say(concat([encodeVarint(type), payload]));
    return stream;
  }

  #bidirectional(bytes = EMPTY): FakeStream {
    this.#opened++;
    const stream = this.#conn.open();
    stream.say(bytes);
    return stream;
  }

  /** Says it in one piece or in two. */
  #pieces(stream: FakeStream, bytes: Uint8Array): void {
    const at = this.#tape.below(bytes.length + 1);
    stream.say(bytes.subarray(0, at));
    stream.say(bytes.subarray(at));
  }
}

const PAGE: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "relay.example"],
  [":path", "/"],
];
const REFUSED: readonly Field[] = [...sessionRequest("relay.example"), ["origin", "https://evil"]];

function data(payload: Uint8Array): Uint8Array {
  return encodeFrame(FrameType.data, payload);
}
