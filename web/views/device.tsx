/** One device: what is known of it, and the ways to it. */

import { useState } from "preact/hooks";
import { formatTarget } from "../../core/allow.ts";
import { age, bytes, instant, milliseconds } from "../format.ts";
import { readTarget } from "../route.ts";
import type { ViewProps } from "./root.tsx";

export function DeviceView({ session, id }: ViewProps & { id: string }) {
  // Looked at, so that the table tells of what changes next.
  const { devices } = session;
  void devices.shown;
  const row = devices.row(id);
  return (
    <section class="device" aria-labelledby="device-title">
      <p class="back">
        <a href="#/">← Devices</a>
      </p>
      <h1 id="device-title">{id}</h1>
      {!row && <p class="empty">This device is not known, or you have no grant for it.</p>}
      {row && <Facts {...row} />}
      <div class="ways">
        <Way
          title="Terminal"
          hint="A login by SSH, in this tab."
          port="22"
          action="Open terminal"
          go={(target) => location.hash = `#/terminal/${id}/${encodeURIComponent(target)}`}
        />
        <Way
          title="Web page"
          hint="A page that the device serves by HTTP, in a new tab."
          port="80"
          action="Open page"
          go={(target) => open(`/view#${id}/${encodeURIComponent(target)}`, "_blank", "noopener")}
        />
      </div>
    </section>
  );
}

function Facts({ device, rate }: NonNullable<ReturnType<ViewProps["session"]["devices"]["row"]>>) {
  const { online, since, transport, remote, roundTrip, streams, sent = 0, received = 0 } = device;
  const facts: [string, string | undefined][] = [
    ["Standing", online ? "online" : "offline"],
    ["Since", since === undefined ? undefined : `${instant(since)} (${age(since)})`],
    ["Transport", transport],
    ["Address", remote],
    ["Round trip to the relay", roundTrip === undefined ? undefined : milliseconds(roundTrip)],
    ["Streams", streams === undefined ? undefined : String(streams)],
    ["Sent, received", online ? `${bytes(sent)}, ${bytes(received)}` : undefined],
    ["Now", online ? `${bytes(rate)}/s` : undefined],
  ];
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== undefined).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface WayProps {
  readonly title: string;
  readonly hint: string;
  readonly port: string;
  readonly action: string;
  readonly go: (target: string) => void;
}

function Way({ title, hint, port, action, go }: WayProps) {
  const [text, setText] = useState(port);
  const [isWrong, setWrong] = useState(false);
  const name = `way-${title.replace(" ", "-").toLowerCase()}`;
  const submit = (event: Event) => {
    event.preventDefault();
    const target = readTarget(text);
    setWrong(!target);
    if (target) go(formatTarget(target));
  };
  return (
    <form class="card" onSubmit={submit}>
      <h2>{title}</h2>
      <p class="hint">{hint}</p>
      <label for={name}>Port, or HOST:PORT beside the device</label>
      <div class="field">
        <input
          id={name}
          value={text}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={isWrong}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <button type="submit">{action}</button>
      </div>
      {isWrong && <p class="problem" role="alert">This is no port of 1 to 65535, nor HOST:PORT.</p>}
    </form>
  );
}
