/** The list of devices: as many rows as fit on the screen, however many there are. */

import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, milliseconds } from "../format.ts";
import type { DeviceTable } from "../device_table.ts";
import { Chart } from "./chart.tsx";
import type { ViewProps } from "./root.tsx";

/** Pixels of a row, as in style.css. */
export const ROW_HEIGHT = 48;
/** Rows that are there beyond each end of what is seen. */
const MARGIN = 6;

export function Devices({ session, actions }: Pick<ViewProps, "session" | "actions">) {
  const { devices } = session;
  const shown = devices.shown;
  return (
    <section class="devices" aria-labelledby="devices-title">
      <div class="bar">
        <h1 id="devices-title">Devices</h1>
        <p class="summary">
          {devices.online} of {devices.size} online
        </p>
        <input
          type="search"
          aria-label="Search devices"
          placeholder="Search: ID, transport, address, online"
          value={devices.search}
          onInput={({ currentTarget }) => {
            devices.search = currentTarget.value;
            actions.announce(`${devices.shown.length} devices`);
          }}
        />
      </div>
      <Chart values={devices.history} />
      {devices.size === 0 && (
        <p class="empty">
          No devices yet. Make a join string with <code>tunnel invite device NAME</code>.
        </p>
      )}
      {devices.size > 0 && shown.length === 0 && <p class="empty">No device matches the search.</p>}
      {shown.length > 0 && <List devices={devices} shown={shown} />}
    </section>
  );
}

export function List({ devices, shown }: { devices: DeviceTable; shown: readonly string[] }) {
  const list = useRef<HTMLUListElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setHeight(entry!.contentRect.height));
    observer.observe(list.current!);
    return () => observer.disconnect();
  }, []);
  const from = Math.max(0, Math.floor(top / ROW_HEIGHT) - MARGIN);
  const to = Math.min(shown.length, Math.ceil((top + height) / ROW_HEIGHT) + MARGIN);
  return (
    <div class="table">
      <div class="columns" aria-hidden="true">
        <span>Device</span>
        <span>Transport</span>
        <span>Round trip</span>
        <span>Streams</span>
        <span>Moved</span>
        <span>Now</span>
      </div>
      <ul
        ref={list}
        class="rows"
        aria-label="Devices"
        onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
        onKeyDown={(event) => moveFocus(event, shown)}
      >
        <li class="space" role="presentation" ref={sized(shown.length * ROW_HEIGHT)} />
        {shown.slice(from, to).map((id, i) => (
          <DeviceRow key={id} devices={devices} id={id} index={from + i} of={shown.length} />
        ))}
      </ul>
    </div>
  );
}

function DeviceRow(
  { devices, id, index, of }: { devices: DeviceTable; id: string; index: number; of: number },
) {
  const { device, rate } = devices.row(id)!;
  const { online, transport, roundTrip, streams = 0, sent = 0, received = 0 } = device;
  const standing = online ? "online" : "offline";
  return (
    <li
      class={`row ${standing}`}
      aria-setsize={of}
      aria-posinset={index + 1}
      ref={placed(index * ROW_HEIGHT)}
    >
      <a href={`#/device/${id}`} data-index={index}>
        <span class="id">
          <span class="dot" aria-hidden="true" />
          <span class="name">{id}</span>
          <span class="unseen">, {standing}</span>
        </span>
        <span class="cell">{online ? transport : "offline"}</span>
        <span class="cell number">{roundTrip === undefined ? "" : milliseconds(roundTrip)}</span>
        <span class="cell number">{online ? streams : ""}</span>
        <span class="cell number">{sent + received > 0 ? bytes(sent + received) : ""}</span>
        <span class="cell number now">{rate > 0 ? `${bytes(rate)}/s` : ""}</span>
      </a>
    </li>
  );
}

/** Places by the object model: a policy that forbids styles in markup allows that. */
function placed(top: number) {
  return (element: HTMLElement | null) => {
    if (element) element.style.transform = `translateY(${top}px)`;
  };
}

function sized(height: number) {
  return (element: HTMLElement | null) => {
    if (element) element.style.height = `${height}px`;
  };
}

/** Arrows, Home and End go from row to row, those included that are not there yet. */
function moveFocus(
  event: KeyboardEvent & { currentTarget: HTMLElement },
  shown: readonly string[],
) {
  const now = Number((event.target as HTMLElement).dataset?.index ?? NaN);
  if (Number.isNaN(now)) return;
  const steps: Record<string, number> = {
    ArrowDown: now + 1,
    ArrowUp: now - 1,
    Home: 0,
    End: shown.length - 1,
  };
  const next = steps[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const index = Math.min(Math.max(next, 0), shown.length - 1);
  const list = event.currentTarget;
  const [top, bottom] = [index * ROW_HEIGHT, (index + 1) * ROW_HEIGHT];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
  const row = () => list.querySelector<HTMLElement>(`[data-index="${index}"]`);
  wanted = index;
  row()?.focus();
  // A row that was out of sight is there after the next frame; by then another key may have come.
  const later = () => wanted === index && row()?.focus();
  if (!row()) requestAnimationFrame(() => requestAnimationFrame(later));
}

/** The row that the last key has asked for. */
let wanted: number | undefined;
