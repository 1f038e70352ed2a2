/** Who is signed in in this tab, and all that the views show of the fleet. */

import { toTunnelError, TunnelError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Fleet, FleetDialOptions, FleetStream } from "../core/member/fleet.ts";
import type { MemberStore } from "../core/member/identity.ts";
import type { FleetOptions } from "../core/member/open.ts";
import type { Target } from "../core/names.ts";
import { formatTarget } from "../core/allow.ts";
import { clearIdentities, indexedDbStore } from "../stores/indexeddb.ts";
import { connect } from "../transports/runtime/browser.ts";
import { DeviceTable } from "./device_table.ts";
import { TABS } from "./tabs.ts";
import { forgetHostKeys } from "./terminal/host_keys.ts";

/** An open channel of this tab. */
export interface OpenChannel {
  readonly id: number;
  readonly device: string;
  readonly target: string;
  readonly purpose: string;
  readonly since: number;
  readonly stream: FleetStream;
}

export interface SessionOptions {
  readonly onChange: () => void;
  /** Opens a fleet; by default over this browser's transports. */
  readonly open?: (options: FleetOptions) => Promise<Fleet>;
  readonly store?: MemberStore;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #ending = new AbortController();
  readonly devices: DeviceTable;
  readonly channels = new Map<number, OpenChannel>();
  fleet?: Fleet;
  /** An admin sees the views of one. */
  isAdmin = false;
  /** What ended it for good. */
  failure?: TunnelError;
  /** What the last attempt to come back has met. */
  trouble?: string;
  #lastId = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.devices = new DeviceTable({ onChange: options.onChange });
  }

  /**
   * Signs in by what this browser keeps, or joins.
   *
   * @throws {TunnelError} as `connect` does
   */
  async open(join?: string): Promise<void> {
    const { store = indexedDbStore(), open = connect } = this.#options;
    this.fleet = await open({ store, join, log: this.#log(), signal: this.#ending.signal });
    if (this.#ending.signal.aborted) return await this.fleet.close();
    this.fleet.closed.catch((cause) => this.#fail(cause));
    const sampling = setInterval(() => this.devices.sample(), 1_000);
    this.#ending.signal.addEventListener("abort", () => clearInterval(sampling));
    this.#watch();
    this.#learnRights();
    this.#options.onChange();
  }

  /** The transport to the relay; undefined while there is none. */
  get transport(): string | undefined {
    return this.fleet?.transport;
  }

  /** Dials, and has the channel listed until it ends. */
  async dial(
    device: string,
    target: Target,
    purpose: string,
    options?: FleetDialOptions,
  ): Promise<FleetStream> {
    const stream = await this.fleet!.dial(device, target, options);
    const id = ++this.#lastId;
    const entry = { id, device, target: formatTarget(target), purpose, since: Date.now(), stream };
    this.channels.set(id, entry);
    this.#options.onChange();
    const gone = () => {
      this.channels.delete(id);
      this.#options.onChange();
    };
    stream.closed.then(gone, gone); // How it ended is told to who uses it.
    return stream;
  }

  /** Ends the session and keeps the keys: to be signed in again by the same. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.fleet?.close();
  }

  /** Ends the session, deletes the keys, and has the other tabs end too. */
  async signOut(): Promise<void> {
    await this.close();
    await clearIdentities();
    await forgetHostKeys();
    const tabs = new BroadcastChannel(TABS);
    tabs.postMessage("signed out");
    tabs.close();
  }

  async #watch(): Promise<void> {
    try {
      for await (const change of this.fleet!.watch(this.#ending.signal)) {
        this.devices.apply(change);
      }
    } catch (cause) {
      if (!this.#ending.signal.aborted) this.#fail(cause);
    }
  }

  async #learnRights(): Promise<void> {
    try {
      await this.fleet!.admin.operators();
      this.isAdmin = true;
      this.#options.onChange();
    } catch (cause) {
      const { code, message } = toTunnelError(cause, "learn of rights", "internal");
      if (code !== "refused" && !this.#ending.signal.aborted) this.trouble = message;
    }
  }

  #fail(cause: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.failure = toTunnelError(cause, "stay signed in", "internal");
    this.#options.onChange();
  }

  /** What the engine says is when to look at it anew. */
  #log(): Log {
    const look = () => this.#options.onChange();
    return {
      debug: look,
      info: () => {
        this.trouble = undefined;
        look();
      },
      warn: (message, fields) => {
        this.trouble = fields?.why === undefined ? message : `${message}: ${fields.why}`;
        look();
      },
      error: look,
    };
  }
}

/** Whether this browser keeps an operator's keys. */
export async function isKnown(): Promise<boolean> {
  return await indexedDbStore().load("operator") !== undefined;
}
