/** A link with a program on each side that does as the test says. */

import { withDeadline } from "../../core/deadline.ts";
import { Running, tempDir } from "../../tests/processes.ts";
import { type Link, type LinkOptions, type Namespace, openLink } from "./link.ts";
import type { Orders } from "./test_peer.ts";

/** Milliseconds that an order may take. */
const PATIENCE = 60_000;

/** The link and its peers; all of them end together. */
export class Ground implements AsyncDisposable {
  readonly link: Link;
  readonly near: Peer;
  readonly far: Peer;
  readonly #owned: AsyncDisposable;

  private constructor(link: Link, near: Peer, far: Peer, owned: AsyncDisposable) {
    this.link = link;
    this.near = near;
    this.far = far;
    this.#owned = owned;
  }

  static async open(options?: LinkOptions): Promise<Ground> {
    await using stack = new AsyncDisposableStack();
    const link = stack.use(await openLink(options));
    const [near, far] = await Promise.all([
      Peer.start(link.near, stack),
      Peer.start(link.far, stack),
    ]);
    return new Ground(link, near, far, stack.move());
  }

  /** Connects the near peer to the far one by TCP; the address that it connects from. */
  async connect(): Promise<string> {
    const { tcp } = await this.far.ask("ports");
    return await this.near.ask("connect", this.link.far.address, tcp);
  }

  /** Sends datagrams of so many bytes from one side to the other, numbered from 0. */
  async send(to: "near" | "far", count: number, size = 100): Promise<void> {
    const from = this[to === "far" ? "near" : "far"];
    const { udp } = await this[to].ask("ports");
    await from.ask("send", this.link[to].address, udp, count, size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}

/** The program on one side. */
class Peer {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static async start(side: Namespace, stack: AsyncDisposableStack): Promise<Peer> {
    const socket = `${stack.use(await tempDir()).path}/orders`;
    const program = new URL("test_peer.ts", import.meta.url).pathname;
    const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", program, socket];
    const running = stack.use(new Running(side.command([...command, side.address])));
    await running.line(/^ready$/m);
    return new Peer(socket);
  }

  async ask<Name extends keyof Orders>(
    name: Name,
    ...args: Parameters<Orders[Name]>
  ): Promise<Awaited<ReturnType<Orders[Name]>>> {
    return await withDeadline({ action: `await ${name}`, timeout: PATIENCE }, async () => {
      const conn = await Deno.connect({ transport: "unix", path: this.#socket });
      await conn.write(new TextEncoder().encode(JSON.stringify([name, ...args])));
      const { value, error } = await new Response(conn.readable).json();
      if (error !== undefined) throw new Error(`${name}: ${error}`);
      return value;
    });
  }
}
