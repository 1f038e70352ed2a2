/** What this tab has open, each with an end. */

import { age, instant } from "../format.ts";
import type { ViewProps } from "./root.tsx";

export function Channels({ session, actions }: ViewProps) {
  const channels = [...session.channels.values()];
  return (
    <section aria-labelledby="channels-title">
      <h1 id="channels-title">Channels of this tab</h1>
      {channels.length === 0 && (
        <p class="empty">None is open. A page of a device has those of its own tab.</p>
      )}
      {channels.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Target</th>
              <th scope="col">For</th>
              <th scope="col">Since</th>
              <th scope="col">
                <span class="unseen">Action</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {channels.map(({ id, device, target, purpose, since, stream }) => (
              <tr key={id}>
                <td>{device}</td>
                <td>{target}</td>
                <td>{purpose}</td>
                <td title={instant(since)}>{age(since)}</td>
                <td class="end">
                  <button
                    type="button"
                    class="danger"
                    aria-label={`End the channel to ${device} ${target}`}
                    onClick={() => {
                      stream.reset("the operator has ended it");
                      actions.announce(`Ended the channel to ${device}`);
                    }}
                  >
                    End
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
