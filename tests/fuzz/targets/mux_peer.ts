/** A multiplexed session whose peer says anything, judged by a model of what it may say. */

import type { Session, Stream } from "../../../core/transport.ts";
import { TunnelError } from "../../../core/errors.ts";
import { concat } from "../../../core/bytes.ts";
import { decodeFrames } from "../../../core/mux/frame.ts";
import { multiplex } from "../../../core/mux/session.ts";
import { Leftovers } from "../../leftovers.ts";
import { must, same } from "../expect.ts";
import { isEqual, sequence } from "../fake_path.ts";
import { turn } from "../turns.ts";
import { FakeSocket } from "../fake_socket.ts";
import { MuxModel, type Said } from "../mux_model.ts";
import { Tape, type Target } from "../target.ts";

/** Streams that the session allows its peer. */
const LIMIT = 4;
/** Decisions of a script at most. */
const MAX_STEPS = 80;
const EMPTY = new Uint8Array(0);

export const muxPeer: Target = {
  name: "mux:peer",
  iterations: 400,
  make: (random) => random.bytes(random.below(300)),
  async check(input) {
    using leftovers = new Leftovers();
    const script = new Script(new Tape(input));
    for (let step = 0; step < MAX_STEPS && !script.over; step++) await script.step();
    await script.end();
    // Its listeners are on signals of its own streams, which go with them.
    same(leftovers.timers, 0, "timers left behind");
  },
};

/** A stream as the session's application has it. */
interface Open {
  readonly stream: Stream;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Known for those of the peer's, which come in order, and for the others once they are heard. */
  id: number;
  read: number;
  written: number;
  reading: boolean;
  writing: boolean;
  cancelled: boolean;
}

class Script {
  readonly #tape: Tape;
  readonly #socket = new FakeSocket();
  readonly #session: Session;
  readonly #model: MuxModel;
  readonly #opened: Open[] = [];
  readonly #pending: Promise<unknown>[] = [];
  readonly #incoming: AsyncIterator<Stream>;
  #nextAccepted: number;
  #nextOpened: number;
  #opening = 0;
  #pings = 0;
  #outcome?: string;

  constructor(tape: Tape) {
    const isClient = tape.byte() % 2 === 0;
    this.#tape = tape;
    this.#model = new MuxModel(isClient, LIMIT);
    [this.#nextAccepted, this.#nextOpened] = isClient ? [1, 2] : [2, 1];
    this.#session = multiplex(this.#socket, {
      role: isClient ? "server" : "client",
      transport: "mux",
      remote: { hostname: "memory", port: 1 },
      limits: { streams: LIMIT },
    });
    this.#session.closed.then(({ code }) => this.#outcome = `closed ${code}`, (error) => {
      this.#outcome = error.code;
    });
    this.#incoming = this.#session.incoming;
    // Nine in ten scripts greet; the others find out what happens else.
    if (!tape.chance(10)) this.#say(() => settings(8, tape.pick([262_144, 10, 0])));
  }

  get over(): boolean {
    return this.#tape.ended || this.#outcome !== undefined;
  }

  async step(): Promise<void> {
    const tape = this.#tape;
    const kind = tape.byte() % 24;
    if (kind < 9) this.#say(() => this.#likely(kind));
    else if (kind === 9) this.#say(() => this.#likely(tape.byte() % 9), 3);
    else if (kind === 10 && tape.chance(4)) this.#say(() => this.#anything());
    else if (kind === 10) await this.#fill();
    else if (kind < 14) this.#accept();
    else if (kind < 17) this.#read();
    else if (kind < 20) this.#write(tape.pick([1, 9, 3_000, 100_000]));
    else if (kind === 20) this.#end();
    else if (kind === 21) this.#openStream();
    else if (kind === 22) this.#hold();
    else if (tape.chance(8)) this.#leave();
    await turn();
    this.#hear();
  }

  /** Uses up the credit of a stream, and one byte more or none. */
  async #fill(): Promise<void> {
    const { byId } = this.#model;
    const [id, stream] = this.#tape.pick([...byId, undefined]) ?? [0, undefined];
    if (!stream || stream.over) return;
    const more = this.#tape.chance(3) ? 1 : 0;
    for (let left = stream.credit + more; left > 0;) {
      const length = Math.min(left, 65_000);
      this.#say(() => data(id, 0, sequence(stream.said, length, id)));
      left -= length;
      // A reader that waits takes it at once, and what it gives back for it is heard first.
      await turn();
      this.#hear();
      if (stream.credit > left) return;
    }
  }

  #leave(): void {
    this.#model.over ??= "closed";
    this.#session.close({ code: 2, reason: "enough" });
  }

  /** Whatever way it ended, everybody learns of it, and nothing is left waiting. */
  async end(): Promise<void> {
    this.#socket.release();
    await turn();
    this.#hear();
    const { over, farewell } = this.#model;
    if (over === "violation") {
      same([this.#outcome, farewell, this.#socket.closeCode], ["protocol", 4, 1002], "a violation");
    } else if (over === "closed") {
      must(this.#outcome!.startsWith("closed"), `a CLOSE ended it as ${this.#outcome}`);
    } else {
      must(this.#outcome === undefined, `it ended: ${this.#outcome}`);
      if (this.#tape.chance(2)) this.#socket.lose();
      else this.#session.close();
    }
    await this.#session.closed.catch(() => {}); // Looked at above.
    await Promise.all(this.#pending);
    await turn();
  }

  /** A frame of the kind that is likely to be legal. */
  #likely(kind: number): Said {
    const tape = this.#tape;
    const model = this.#model;
    const ids = [...model.byId.keys()];
    const id = ids.length > 0 ? tape.pick(ids) : model.nextId;
    const stream = model.byId.get(id);
    switch (kind) {
      case 0:
      case 1: {
        const flags = 0x80 | (tape.chance(6) ? 0x40 : 0);
        return model.places > 0 || tape.chance(8)
          ? data(model.nextId, flags, sequence(0, tape.pick([0, 1, 500]), model.nextId))
          : this.#ping();
      }
      case 2:
      case 3:
      case 4: {
        if (!stream || (stream.over && !tape.chance(12))) return this.#ping();
        const length = Math.min(tape.pick([0, 1, 5_000, 65_000]), stream.credit);
        return data(id, tape.chance(8) ? 0x40 : 0, sequence(stream.said, length, id));
      }
      case 5:
        return { ...number(4, id, tape.pick([0, 1, 9, 5_000, 100_000])) };
      case 6:
        return tape.chance(3) ? number(tape.chance(2) ? 2 : 3, id, tape.byte()) : this.#ping();
      case 7:
        // Never one that answers a PING: how long that took would have a say in what follows.
        return tape.chance(2) ? number(5, 0, tape.below(3)) : number(7, 0, 1_000_000 + tape.byte());
      default:
        return tape.chance(16) ? number(8, 0, tape.below(9)) : this.#ping();
    }
  }

  /** None has the value of another, so that each PONG says what it answers. */
  #ping(): Said {
    return number(6, 0, this.#pings++);
  }

  /** A frame of any type, on any stream, with any number. */
  #anything(): Said {
    const tape = this.#tape;
    const type = tape.byte() % 10;
    const id = tape.pick([0, 1, 2, 3, 4, 5, 6, this.#model.nextId, 2 ** 32 - 1]);
    if (type === 0) return settings(tape.pick([0, 3, 2 ** 31]), tape.pick([0, 99, 2 ** 31 + 1]));
    if (type === 6 && id === 0) return this.#ping();
    if (type !== 1) return number(type, id, tape.pick([0, 1, 2 ** 32 - 1]));
    const from = this.#model.byId.get(id)?.said ?? 0;
    const flags = tape.pick([0, 0x80, 0x40, 0xc0]);
    return data(id, flags, sequence(from, tape.pick([0, 1, 65_000]), id));
  }

  /** Says so many frames in one message, each made when the ones before it count. */
  #say(make: () => Said, times = 1): void {
    const frames: Uint8Array[] = [];
    for (; times > 0; times--) {
      const made = make();
      // What the session allows may be said and not heard yet.
      const mayBeMore = this.#socket.holding || frames.length > 0;
      const frame = mayBeMore && this.#model.exceeds(made) ? this.#ping() : made;
      this.#model.take(frame);
      frames.push(encode(frame));
    }
    this.#socket.say(concat(frames));
  }

  #hear(): void {
    for (const message of this.#socket.sent.splice(0)) decodeFrames(message, this.#model);
    if (!this.#socket.holding && this.#outcome === undefined) this.#model.settle();
  }

  #hold(): void {
    if (this.#socket.holding) this.#socket.release();
    else this.#socket.hold();
  }

  #accept(): void {
    this.#wait(
      this.#incoming.next().then(({ value }) => {
        if (!value) return;
        this.#add(value, this.#nextAccepted);
        this.#nextAccepted += 2;
      }),
    );
  }

  #openStream(): void {
    if (this.#opening > 2) return;
    this.#opening++;
    this.#wait(this.#session.openStream().then((stream) => void this.#add(stream, 0)));
  }

  #add(stream: Stream, id: number): void {
    const reader = stream.readable.getReader();
    const writer = stream.writable.getWriter();
    for (const end of [reader, writer]) end.closed.catch(() => {}); // Seen by the calls that meet it.
    const state = { read: 0, written: 0, reading: false, writing: false, cancelled: false };
    this.#opened.push({ stream, reader, writer, id, ...state });
  }

  #read(): void {
    const open = this.#pick();
    if (!open || open.reading || open.id === 0) return;
    open.reading = true;
    this.#wait(
      open.reader.read().then(({ value, done }) => {
        open.reading = false;
        if (open.cancelled) return;
        const stream = this.#model.byId.get(open.id)!;
        if (done) return must(stream.over === "end" && open.read === stream.said, "an early end");
        must(isEqual(value, sequence(open.read, value.length, open.id)), `bytes on ${open.id}`);
        open.read += value.length;
        must(open.read <= stream.said, "more was read than had come");
      }),
    );
  }

  #write(length: number): void {
    const open = this.#pick();
    if (!open || open.writing) return;
    // A stream gets its id with its first frame, and those of this side in the order of the writes.
    if (open.id === 0) {
      open.id = this.#nextOpened;
      this.#nextOpened += 2;
    }
    open.writing = true;
    const bytes = sequence(open.written, length, open.id);
    open.written += length;
    this.#wait(open.writer.write(bytes).finally(() => open.writing = false));
  }

  #end(): void {
    const open = this.#pick();
    // What ends a stream that has no id yet would take one.
    if (!open || open.id === 0 || open.writing) return;
    const tape = this.#tape;
    const kind = tape.byte() % 3;
    open.writing = true;
    if (kind === 0) this.#wait(open.writer.close());
    else if (kind === 1) {
      // The session may not have been able to tell of its stream yet.
      const stream = this.#model.byId.get(open.id);
      if (stream) stream.aborted = true;
      this.#wait(open.writer.abort());
    } else {
      open.writing = false;
      open.cancelled = true;
      this.#wait(open.reader.cancel());
    }
  }

  #pick(): Open | undefined {
    return this.#opened.length > 0 ? this.#tape.pick(this.#opened) : undefined;
  }

  /** Work of the application's: it may fail, with an error of ours, and must not wait for ever. */
  #wait(work: Promise<unknown>): void {
    this.#pending.push(work.catch((error) => {
      if (error instanceof TunnelError || (error instanceof TypeError && isOfStreams(error))) {
        return;
      }
      throw error;
    }));
  }
}

/** What the platform says to calls on a stream that is closed. */
function isOfStreams({ message }: TypeError): boolean {
  return /clos|releas|error/i.test(message);
}

function settings(streams: number, window: number): Said {
  return { type: 0, flags: 0, id: 0, bytes: EMPTY, values: [streams, window, 8_000, 8_000] };
}

function number(type: number, id: number, value: number): Said {
  return { type, flags: 0, id, bytes: EMPTY, values: [value] };
}

function data(id: number, flags: number, bytes: Uint8Array): Said {
  return { type: 1, flags, id, bytes, values: [] };
}

function encode({ type, flags, id, bytes, values }: Said): Uint8Array {
  const payload = type === 1 ? bytes : new Uint8Array(4 * values.length);
  const frame = new Uint8Array(8 + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, ((type | flags) << 24 | payload.length) >>> 0);
  view.setUint32(4, id);
  frame.set(payload, 8);
  values.forEach((value, i) => view.setUint32(8 + 4 * i, value));
  return frame;
}
