/**
 * What the multiplexer needs below it: something that carries whole messages in order, with
 * backpressure. A WebSocket of any make fits, and so does a pair in memory.
 */
export interface MessageSocket {
  /**
   * Bytes in front of a message, in the message's own buffer, that `send` may overwrite; so a
   * header of the socket's own goes out in one piece with the message, without a copy.
   */
  readonly headroom: number;
  /**
   * True where the system may hold a small write back until the peer has acknowledged the one
   * before it (Nagle's algorithm, RFC 1122, section 4.2.3.4).
   */
  readonly nagle: boolean;
  /**
   * Sends one message and settles when there is room for the next. Until then the message and its
   * headroom are the socket's to change. One call at a time.
   *
   * @throws when the socket is closed or lost
   */
  send(message: Uint8Array): Promise<void>;
  /**
   * The next message, valid until the next call; null after the end. The owner goes on receiving
   * until null or an error: {@linkcode MessageSocket.close} is not finished before.
   *
   * @throws {TunnelError} `protocol` when the peer breaks the rules, `reset` when the socket is lost
   */
  receive(): Promise<Uint8Array | null>;
  /**
   * Ends the socket in order, after what was sent; `code` and `reason` are those of RFC 6455,
   * section 7.4. Settles when the peer has answered or a bound of a few seconds has passed. Never
   * rejects; the first call counts.
   */
  close(code: number, reason: string): Promise<void>;
  /** Ends it now. What was not sent is lost. */
  abort(): void;
}

/** The codes of RFC 6455, section 7.4.1, that this project sends. */
export const WebSocketClose = {
  normal: 1000,
  protocol: 1002,
  unsupported: 1003,
  badText: 1007,
  tooBig: 1009,
} as const;
