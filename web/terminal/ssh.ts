/** A login by SSH over a channel, with a shell on a terminal. */

import {
  AuthenticationInfoResponseMessage,
  ChannelRequestMessage,
  type KeyPair,
  type SshAuthenticatingEventArgs,
  SshAuthenticationType,
  type SshChannel,
  SshClientSession,
  type SshDataWriter,
  SshSessionConfiguration,
} from "@microsoft/dev-tunnels-ssh";
import { Buffer } from "buffer";
import { withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import type { FleetStream } from "../../core/member/fleet.ts";
import { Ed25519 } from "./ed25519.ts";
import "./interactive.ts";
import { SshStream } from "./ssh_stream.ts";

/** Logins by password that are tried in one session; servers end it after six. */
const TRIES = 3;
/** Milliseconds until both ends have agreed on keys: what answers there may be no SSH server. */
const CONNECT_TIMEOUT = 20_000;

export interface Question {
  readonly prompt: string;
  /** Whether the answer may be seen. */
  readonly echo: boolean;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface SshOptions {
  readonly user: string;
  /** Tried first. */
  readonly key?: KeyPair;
  /** The server's key, in the bytes of the protocol. What it throws ends the login. */
  readonly checkHostKey: (algorithm: string, key: Uint8Array) => Promise<void>;
  /** Asks the user; undefined gives up. */
  readonly ask: (questions: readonly Question[], title: string) => Promise<string[] | undefined>;
  readonly size: Size;
  /** Takes what the server says; what it returns fulfils when that was taken. */
  readonly onData: (bytes: Uint8Array) => Promise<void>;
}

/** An open shell. */
export interface Shell {
  /** Fulfils with the exit status, where there is one; rejects when the connection was lost. */
  readonly closed: Promise<number | undefined>;
  send(bytes: Uint8Array): Promise<void>;
  resize(size: Size): Promise<void>;
  close(): void;
}

/**
 * Logs in and opens a shell.
 *
 * @throws {TunnelError} `refused` when the server takes none of the answers, or has another key than
 * it had; `aborted` when the user gives up; `protocol`, `reset`
 */
export async function openShell(stream: FleetStream, options: SshOptions): Promise<Shell> {
  const session = new SshClientSession(configuration());
  let refusal: unknown;
  session.onAuthenticating((event) => {
    if (event.authenticationType === SshAuthenticationType.serverPublicKey) {
      event.authenticationPromise = checked(event, options).catch((cause) => {
        refusal = cause;
        return null;
      });
    } else if (event.authenticationType === SshAuthenticationType.clientInteractive) {
      event.authenticationPromise = answered(event, options).catch((cause) => {
        refusal = cause;
        session.dispose();
        return null;
      });
    }
  });
  try {
    const bound = { action: "agree on keys by SSH", timeout: CONNECT_TIMEOUT };
    await withDeadline(bound, () => session.connect(new SshStream(stream)));
    if (!await session.authenticateServer()) {
      throw refusal ?? new Error("the host key is not taken");
    }
    await logIn(session, options);
    const channel = await session.openChannel();
    return await startShell(session, channel, options);
  } catch (cause) {
    session.dispose();
    throw toTunnelError(refusal ?? cause, "log in by SSH", "protocol");
  }
}

function configuration(): SshSessionConfiguration {
  const config = new SshSessionConfiguration();
  config.publicKeyAlgorithms.unshift(new Ed25519());
  return config;
}

async function checked(event: SshAuthenticatingEventArgs, { checkHostKey }: SshOptions) {
  const key = event.publicKey!;
  await checkHostKey(key.keyAlgorithmName, (await key.getPublicKeyBytes())!);
  return {};
}

/** Keyboard-interactive (RFC 4256): the server's own questions. */
async function answered(event: SshAuthenticatingEventArgs, { ask }: SshOptions) {
  const { prompts = [], name = "", instruction = "" } = event.infoRequest ?? {};
  const response = new AuthenticationInfoResponseMessage();
  response.responses = prompts.length === 0 ? [] : await ask(prompts, instruction || name);
  if (!response.responses) throw givenUp();
  event.infoResponse = response;
  return {};
}

async function logIn(session: SshClientSession, { user, key, ask }: SshOptions): Promise<void> {
  if (key && await session.authenticateClient({ username: user, publicKeys: [key] })) return;
  // First what needs no password, then the server's questions, then a password.
  if (await session.authenticateClient({ username: user })) return;
  for (let tries = 0; tries < TRIES && !session.isClosed; tries++) {
    const [password] = await ask([{ prompt: `Password of ${user}`, echo: false }], "") ?? [];
    if (password === undefined) throw givenUp();
    if (await session.authenticateClient({ username: user, password })) return;
  }
  throw new TunnelError("refused", {
    action: `log in as ${user}`,
    state: "the server took no answer",
    remedy: "check the name, the password, or the key",
  });
}

async function startShell(
  session: SshClientSession,
  channel: SshChannel,
  { size, onData }: SshOptions,
): Promise<Shell> {
  const { promise: closed, resolve, reject } = Promise.withResolvers<number | undefined>();
  closed.catch(() => {}); // Asking for it is optional.
  const take = (data: Buffer) => {
    // Room is given back when it is on the screen, so that a flood waits at the server.
    onData(new Uint8Array(data)).then(() => {
      if (!channel.isClosed) channel.adjustWindow(data.length);
    });
  };
  channel.onDataReceived(take);
  channel.onExtendedDataReceived(({ data }) => take(data));
  channel.onClosed(({ exitStatus, error }) => error ? reject(lost(error)) : resolve(exitStatus));
  session.onClosed(({ error }) => reject(lost(error)));
  if (!await channel.request(new TerminalRequest(size))) throw unavailable("a terminal");
  if (!await channel.request(new ChannelRequestMessage("shell", true))) {
    throw unavailable("a shell");
  }
  return {
    closed,
    send: (bytes) => channel.send(Buffer.from(bytes)),
    resize: async (size) => {
      if (!channel.isClosed) await channel.request(new WindowChange(size));
    },
    close: () => session.dispose(),
  };
}

/** RFC 4254, section 6.2. */
class TerminalRequest extends ChannelRequestMessage {
  readonly #size: Size;

  constructor(size: Size) {
    super("pty-req", true);
    this.#size = size;
  }

  protected override onWrite(writer: SshDataWriter): void {
    super.onWrite(writer);
    writer.writeString("xterm-256color", "ascii");
    writeSize(writer, this.#size);
    // No modes: an end of them alone.
    writer.writeBinary(Buffer.from([0]));
  }
}

/** RFC 4254, section 6.7. */
class WindowChange extends ChannelRequestMessage {
  readonly #size: Size;

  constructor(size: Size) {
    super("window-change", false);
    this.#size = size;
  }

  protected override onWrite(writer: SshDataWriter): void {
    super.onWrite(writer);
    writeSize(writer, this.#size);
  }
}

function writeSize(writer: SshDataWriter, { columns, rows }: Size): void {
  for (const value of [columns, rows, 0, 0]) writer.writeUInt32(value);
}

function givenUp(): TunnelError {
  return new TunnelError("aborted", { action: "log in by SSH", state: "it was given up" });
}

function lost(cause: unknown): TunnelError {
  return toTunnelError(cause ?? new Error("the connection has ended"), "stay logged in", "reset");
}

function unavailable(what: string): TunnelError {
  return new TunnelError("refused", {
    action: "log in by SSH",
    state: `the server does not give ${what}`,
  });
}
