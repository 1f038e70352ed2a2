/** What a device opens at its relay: it is told that it has nothing to dial. */

import { MessageStream } from "../control_stream.ts";
import { withDeadline } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import { toRefusal } from "../refusal.ts";
import type { Stream } from "../transport.ts";

/**
 * Refuses a stream. Never rejects.
 *
 * @param timeout milliseconds in which it is to be read
 */
export async function turnAway(stream: Stream, timeout: number): Promise<void> {
  const action = "dial as a device";
  const messages = new MessageStream(stream);
  const error = new TunnelError("refused", {
    action,
    state: "devices dial nothing",
    remedy: "dial as an operator",
  });
  try {
    await withDeadline({ action, timeout }, async () => {
      await messages.send(toRefusal(error));
      await messages.close();
    });
  } catch (cause) {
    // It does not read; or the session has ended, and the stream with it.
    const { reader, writer } = messages.detach();
    reader.cancel();
    writer.abort(cause);
  }
}
