import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceInfo } from "../core/control.ts";
import { DeviceTable } from "./device_table.ts";

const test = suite("device table");

test("who is here comes first, each by ID", () => {
  const { table } = made();
  table.apply({ type: "added", device: device("b") });
  table.apply({ type: "added", device: device("c", { online: false }) });
  table.apply({ type: "added", device: device("a", { online: false }) });
  assert.equal(table.shown, ["b", "a", "c"]);
  assert.is(table.online, 1);
  table.apply({ type: "online", device: device("c") });
  table.apply({ type: "removed", device: device("a", { online: false }) });
  assert.equal([table.shown, table.online, table.size], [["b", "c"], 2, 2]);
});

test("many changes are told once until somebody looks", () => {
  const { table, told } = made();
  for (let i = 0; i < 100; i++) table.apply({ type: "added", device: device(`d${i}`) });
  assert.is(told(), 1);
  void table.shown;
  table.apply({ type: "changed", device: device("d1", { streams: 3 }) });
  table.apply({ type: "changed", device: device("d2", { streams: 3 }) });
  assert.is(told(), 2);
});

test("the order is made anew only when it may be another", () => {
  const { table } = made();
  table.apply({ type: "added", device: device("a") });
  const before = table.shown;
  table.apply({ type: "changed", device: device("a", { sent: 10 }) });
  assert.is(table.shown, before);
  table.apply({ type: "changed", device: device("a", { sent: 10, transport: "websocket" }) });
  assert.is.not(table.shown, before);
});

test("the search looks at ID, transport, address and presence", () => {
  const { table } = made();
  table.apply({ type: "added", device: device("pump", { transport: "quic", remote: "10.0.0.7" }) });
  table.apply({ type: "added", device: device("gate", { online: false, transport: undefined }) });
  for (const [text, shown] of [["PU", "pump"], ["quic", "pump"], ["0.0.7", "pump"]]) {
    table.search = text!;
    assert.equal(table.shown, [shown], text);
  }
  table.search = " offline ";
  assert.equal(table.shown, ["gate"]);
  table.search = "";
  assert.is(table.shown.length, 2);
});

test("rates come of figures and their times; a new session counts from nothing", () => {
  const { table, tick } = made();
  table.apply({ type: "added", device: device("a", { sent: 1_000 }) });
  tick(2_000);
  table.apply({ type: "changed", device: device("a", { sent: 3_000, received: 2_000 }) });
  assert.is(table.row("a")!.rate, 2_000);
  tick(3_001);
  assert.is(table.row("a")!.rate, 0);
  table.sample();
  tick(1_000);
  table.apply({ type: "changed", device: device("a", { sent: 10 }) });
  assert.is(table.row("a")!.rate, 0);
  table.sample();
  assert.equal(table.history, [4_000, 0]);
  for (let i = 0; i < 200; i++) table.sample();
  assert.is(table.history.length, 120);
});

test.run();

function made() {
  let [told, now] = [0, 0];
  const table = new DeviceTable({ onChange: () => told++, clock: () => now });
  return { table, told: () => told, tick: (milliseconds: number) => now += milliseconds };
}

function device(id: string, facts: Partial<DeviceInfo> = {}): DeviceInfo {
  return { id, online: true, transport: "quic", ...facts };
}
