/** Where connections meet faults: ssh, and a device with sshd, on the two sides of a relay. */

import type { Link } from "../bench/link/link.ts";
import { Running, type RunOptions, tempDir, tunnel, tunnelCommand } from "./processes.ts";
import { type SshServer, startSshServer } from "./ssh_server.ts";

/** Programs of the machine that it needs. */
export const PROGRAMS: readonly string[] = ["sshd", "ssh", "scp", "ssh-keygen"];

export interface GroundOptions {
  /** TUNNEL_TRANSPORT of both sides; default auto. */
  readonly transport?: string;
  /** The relay is on its far side; without a link everything is on 127.0.0.1. */
  readonly link?: Link;
  /** Who is on its near side; default the service alone. */
  readonly near?: readonly ("service" | "device")[];
}

export class Ground implements AsyncDisposable {
  readonly dir: string;
  readonly link: Link | undefined;
  readonly #options: GroundOptions;
  readonly #server: SshServer;
  readonly #stack: AsyncDisposableStack;
  #relay!: Running;
  #device!: Running;
  #address: string;

  private constructor(
    dir: string,
    server: SshServer,
    options: GroundOptions,
    stack: AsyncDisposableStack,
  ) {
    this.dir = dir;
    this.link = options.link;
    this.#server = server;
    this.#options = options;
    this.#address = `${this.link?.far.address ?? "127.0.0.1"}:0`;
    this.#stack = stack;
    stack.defer(() => this.#relay?.[Symbol.asyncDispose]());
  }

  /** Settles when the device is online. */
  static async open(options: GroundOptions = {}): Promise<Ground> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await tempDir());
    const server = stack.use(await startSshServer(path, { within: place(options, "device") }));
    const ground = new Ground(path, server, options, stack.move());
    try {
      await ground.startRelay();
      await ground.#startDevice();
      return ground;
    } catch (error) {
      await ground[Symbol.asyncDispose]();
      throw error;
    }
  }

  get relay(): Running {
    return this.#relay;
  }

  get device(): Running {
    return this.#device;
  }

  /** Options of ssh and scp. */
  get ssh(): string[] {
    const { port, options } = this.#server;
    const command = [...tunnelCommand(), "connect", "%h", String(port), "--stdio"].join(" ");
    return [...options, "-o", `ProxyCommand=${command}`];
  }

  /** Whom they reach. */
  get target(): string {
    return `${this.#server.user}@x`;
  }

  /** Runs a program on the service's side. */
  run(command: readonly string[], options?: RunOptions): Running {
    return new Running(command, this.#of("service", options));
  }

  /** Starts the relay, the second time where it was before. */
  async startRelay(): Promise<void> {
    this.#relay = tunnel(["relay", "--listen", this.#address], this.#of("relay"));
    this.#address = await this.#relay.line(/^relay ready tunnel:\/\/(.*)$/m);
  }

  async #startDevice(): Promise<void> {
    const args = ["device", "--id", "x", "--allow", String(this.#server.port)];
    this.#device = this.#stack.use(tunnel(args, this.#of("device")));
    await this.#device.line(/^device x online/m);
  }

  /** Ends everything in order: the processes that are left, and how the two ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #of(role: Role, options?: RunOptions): RunOptions {
    const { transport = "auto" } = this.#options;
    const env = { TUNNEL_HOME: `${this.dir}/home`, TUNNEL_TRANSPORT: transport };
    return { ...options, env, within: place(this.#options, role) };
  }
}

type Role = "relay" | "device" | "service";

function place({ link, near = ["service"] }: GroundOptions, role: Role): RunOptions["within"] {
  if (!link) return undefined;
  const side = role !== "relay" && near.includes(role) ? link.near : link.far;
  return (command) => side.command(command);
}
