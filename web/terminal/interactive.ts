/**
 * Keyboard-interactive as RFC 4256 has it. The SSH library leaves out two fields of the request, upon
 * which OpenSSH ends the connection, and reads all prompts before all of their flags.
 */

import {
  AuthenticationInfoRequestMessage,
  AuthenticationRequestMessage,
  type SshDataReader,
  type SshDataWriter,
} from "@microsoft/dev-tunnels-ssh";

interface Readable {
  onRead(reader: SshDataReader): void;
}

interface Writable {
  readonly methodName?: string;
  onWrite(writer: SshDataWriter): void;
}

/** Prompts of one request, at most. */
const MAX_PROMPTS = 16;

const request = AuthenticationRequestMessage.prototype as unknown as Writable;
const { onWrite } = request;

/** Section 3.1: no language, no methods that are preferred. */
request.onWrite = function (writer) {
  onWrite.call(this, writer);
  if (this.methodName !== "keyboard-interactive") return;
  writer.writeString("", "ascii");
  writer.writeString("", "ascii");
};

/** Section 3.2. */
(AuthenticationInfoRequestMessage.prototype as unknown as Readable).onRead = function (
  this: AuthenticationInfoRequestMessage,
  reader,
) {
  this.name = reader.readString("utf8");
  this.instruction = reader.readString("utf8");
  this.language = reader.readString("ascii");
  const count = reader.readUInt32();
  if (count > MAX_PROMPTS) throw new Error(`the server asks ${count} questions at once`);
  this.prompts = [];
  for (let i = 0; i < count; i++) {
    const prompt = reader.readString("utf8");
    this.prompts.push({ prompt, echo: reader.readBoolean() });
  }
};
