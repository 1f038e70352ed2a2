/** One side of a link: a network namespace with a loopback and one end of the link. */

import { TunnelError } from "../../core/errors.ts";
import { runToEnd } from "../../tests/processes.ts";
import { find } from "../../tests/require.ts";

/** The name of the link's end in both namespaces. */
export const DEVICE = "link0";

/** One side of a link. */
export interface Namespace {
  /** For `ip -n NAME` and `ip netns exec NAME`. */
  readonly name: string;
  /** The IPv4 address that this side has now. */
  readonly address: string;
  /** What runs a program on this side. The process is the program's own: signals reach it. */
  command(argv: readonly string[]): string[];
}

/** A namespace whose network is `ip`'s to set up. */
export class Side implements Namespace {
  readonly name: string;
  readonly #network: string;
  #host: number;
  #tcp?: string;

  /** @param network the first three numbers of its addresses, @param host the last */
  constructor(name: string, network: string, host: number) {
    this.name = name;
    this.#network = network;
    this.#host = host;
  }

  get address(): string {
    return `${this.#network}.${this.#host}`;
  }

  command(argv: readonly string[]): string[] {
    return [find("ip")!, "netns", "exec", this.name, ...argv];
  }

  /** Brings its interfaces up, the device being there. */
  async start(mtu: number): Promise<void> {
    await this.#configure([
      "link set lo up",
      // What a short transmit queue drops, nobody counts.
      `link set ${DEVICE} mtu ${mtu} txqueuelen 10000 up`,
      `address add ${this.address}/32 dev ${DEVICE}`,
      this.#route("add"),
    ]);
  }

  /** Swaps the address for another of the network. */
  async moveTo(host: number): Promise<void> {
    const old = this.address;
    this.#host = host;
    await this.#configure([
      `address add ${this.address}/32 dev ${DEVICE}`,
      this.#route("replace"),
      `address delete ${old}/32 dev ${DEVICE}`,
    ]);
  }

  /** How new TCP connections over the link react to loss: "cubic", "bbr", "reno", as the kernel has. */
  async useTcp(algorithm: string): Promise<void> {
    this.#tcp = algorithm;
    await this.#configure([this.#route("replace")]);
  }

  #route(verb: "add" | "replace"): string {
    const route = `route ${verb} ${this.#network}.0/24 dev ${DEVICE} src ${this.address}`;
    return this.#tcp === undefined ? route : `${route} congctl ${this.#tcp}`;
  }

  async #configure(lines: readonly string[]): Promise<void> {
    await ip(["-n", this.name, "-batch", "-"], lines.join("\n"));
  }
}

/** Runs `ip`. @throws {TunnelError} `unavailable` */
export async function ip(args: readonly string[], stdin?: string): Promise<void> {
  const { code, stderr } = await runToEnd([find("ip")!, ...args], { stdin });
  if (code === 0) return;
  throw new TunnelError("unavailable", { action: `ip ${args.join(" ")}`, state: stderr });
}
