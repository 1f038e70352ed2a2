/**
 * Tickets: what a full handshake leaves to make the next ones short, as in TLS 1.3 (RFC 8446, section
 * 2.2). A ticket is a key that service and device alone know. For as long as either has it, what was
 * said under it could be read by who takes it from their memory, so it does not last.
 */

import { base64url } from "jose";
import { platformSuite } from "../noise/platform_suite.ts";

/** Milliseconds that a service uses a ticket, and that a device takes one: for those under way. */
const USE = 20_000;
const TAKE = 30_000;
/** Tickets that a device takes, and devices that a service has one for; the oldest goes. */
const MAX_TAKEN = 1_024;
const MAX_DEVICES = 256;

/** What both ends of a full handshake have in common for the next ones. */
export interface Ticket {
  /** Names it to the device: 16 bytes, base64url. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The secret of a channel, and a ticket, from what a full handshake exports: neither tells the other. */
export function derive(exported: Uint8Array): { secret: Uint8Array; ticket: Ticket } {
  const all = platformSuite().hkdf(exported, LABEL, 3);
  return {
    secret: all.slice(0, 32),
    ticket: { id: base64url.encode(all.slice(32, 48)), key: all.slice(64) },
  };
}

const LABEL = new TextEncoder().encode("tunnel ticket 1");

/** What a ticket was made with: it is good for nothing else. */
export interface TicketUse {
  /** The device's key and epoch as the service knows them. */
  readonly peer: { readonly key: string; readonly epoch: string };
  /** The service's own credential. */
  readonly credential: string;
}

/** A service's tickets: the newest for each device. */
export class OwnTickets {
  readonly #tickets = new Expiring<TicketUse & { ticket: Ticket; used: number }>(USE, MAX_DEVICES);

  /** Keeps the ticket of a full handshake that was just made. */
  add(device: string, ticket: Ticket, { peer, credential }: TicketUse): void {
    this.#tickets.set(device, { ticket, peer, credential, used: 0 });
  }

  /** A ticket for the device, and how often it was taken before: no two dials have both in common. */
  take(device: string, use: TicketUse): { ticket: Ticket; number: number } | undefined {
    const found = this.#tickets.get(device);
    if (!found) return undefined;
    const { peer, credential } = found;
    const isSame = peer.key === use.peer.key && peer.epoch === use.peer.epoch;
    if (!isSame || credential !== use.credential) return undefined;
    return { ticket: found.ticket, number: found.used++ };
  }

  /** The device does not take it. */
  drop(device: string): void {
    this.#tickets.delete(device);
  }

  /** Forgets all of them, and keeps none from now on. */
  close(): void {
    this.#tickets.close();
  }
}

/** Who a ticket was made with, as the full handshake has shown. */
export interface TicketHolder {
  readonly credential: string;
  /** The service's static key: X25519, base64url. */
  readonly remoteKey: string;
  /** The device's own credential then. */
  readonly ownCredential: string;
}

/** The tickets that a device takes. */
export class TakenTickets {
  readonly #tickets = new Expiring<TicketHolder & { ticket: Ticket }>(TAKE, MAX_TAKEN);

  get size(): number {
    return this.#tickets.size;
  }

  add(ticket: Ticket, holder: TicketHolder): void {
    this.#tickets.set(ticket.id, { ticket, ...holder });
  }

  /** @param ownCredential the device's, now: with another it is not who the ticket was made with */
  find(id: string, ownCredential: string): (TicketHolder & { ticket: Ticket }) | undefined {
    const found = this.#tickets.get(id);
    return found?.ownCredential === ownCredential ? found : undefined;
  }

  /** Forgets all of them, and keeps none from now on. */
  close(): void {
    this.#tickets.close();
  }
}

/** A map whose entries go after a time, whether anybody looks or not, and the oldest beyond a number. */
class Expiring<T> {
  readonly #lifetime: number;
  readonly #most: number;
  readonly #entries = new Map<string, { value: T; until: number }>();
  #timer?: ReturnType<typeof setTimeout>;
  #isClosed = false;

  constructor(lifetime: number, most: number) {
    this.#lifetime = lifetime;
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size;
  }

  set(key: string, value: T): void {
    if (this.#isClosed) return;
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: performance.now() + this.#lifetime });
    if (this.#entries.size > this.#most) this.#entries.delete(this.#entries.keys().next().value!);
    this.#timer ??= setTimeout(() => this.#expire(), this.#lifetime);
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry && performance.now() < entry.until ? entry.value : undefined;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#entries.clear();
  }

  /** Every entry lasts as long, so the oldest goes first. */
  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [key, { until }] of this.#entries) {
      if (until > now) {
        this.#timer = setTimeout(() => this.#expire(), until - now);
        return;
      }
      this.#entries.delete(key);
    }
  }
}
