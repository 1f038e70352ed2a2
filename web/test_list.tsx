/** The list of devices over a fleet that is made up: what the test of its size has in a page. */

import { render } from "preact";
import type { DeviceInfo } from "../core/control.ts";
import { DeviceTable } from "./device_table.ts";
import type { Session } from "./session.ts";
import { Devices } from "./views/devices.tsx";

let renders = 0;
let isDue = false;
const table = new DeviceTable({ onChange: update });

/** As app.tsx does: once a frame. */
function update(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    renders++;
    const session = { devices: table } as unknown as Session;
    const actions = { update, announce() {} } as unknown as Parameters<
      typeof Devices
    >[0]["actions"];
    render(<Devices session={session} actions={actions} />, document.getElementById("root")!);
  });
}

/** Mounts it in a place of the size of a screen, with so many devices. */
export async function fill(count: number) {
  const root = document.createElement("div");
  root.id = "root";
  const style = document.createElement("style");
  style.textContent = ".rows { height: 700px; overflow-y: auto; position: relative } " +
    ".row { position: absolute; height: 48px }";
  document.body.append(style, root);
  renders = 0;
  for (let i = 0; i < count; i++) table.apply({ type: "added", device: device(i, 0) });
  // Its size is known after the first.
  await frames(6);
  return counted();
}

/** Figures of every device, so many times, as fast as they can be told. */
export async function churn(times: number) {
  renders = 0;
  for (let turn = 1; turn <= times; turn++) {
    for (let i = 0; i < table.size; i++) {
      table.apply({ type: "changed", device: device(i, turn * 1_000) });
    }
  }
  table.sample();
  await frames(2);
  return { ...counted(), history: table.history.at(-1) };
}

export async function scrollTo(top: number) {
  document.querySelector(".rows")!.scrollTop = top;
  await frames(3);
  return counted();
}

export async function search(text: string) {
  table.search = text;
  await frames(2);
  return counted();
}

function counted() {
  const names = [...document.querySelectorAll(".row .name")].map((name) => name.textContent);
  const elements = document.querySelectorAll("*").length;
  return { renders, rows: names.length, elements, first: names[0], last: names.at(-1) };
}

function device(i: number, moved: number): DeviceInfo {
  const id = `device-${String(i).padStart(5, "0")}`;
  return {
    id,
    online: true,
    transport: "quic",
    roundTrip: 12,
    streams: 1,
    sent: moved,
    received: 0,
  };
}

async function frames(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(requestAnimationFrame);
}
