/**
 * A process of many devices: real ones but for their target, which is an echo in this process.
 *
 *     crowd.ts HOME TRANSPORT FIRST COUNT
 *
 * They are called device-FIRST and so on; their credentials are signed here, by the authority in HOME,
 * because thousands of joins would be a test of joins.
 */

import { Device } from "../../core/device.ts";
import { superviseEndpoint } from "../../core/endpoint.ts";
import { describe } from "../../core/errors.ts";
import type { Authority } from "../../core/identity/credential.ts";
import { Verifier } from "../../core/identity/credential.ts";
import { SILENT } from "../../core/log.ts";
import { reportRoundTrips } from "../../core/member/round_trips.ts";
import { generateMemberKeys, Membership, publicKeysOf } from "../../core/membership.ts";
import { DEVICE_LIMITS } from "../../core/transport.ts";
import { Home } from "../../stores/home.ts";
import { echoTarget } from "../../tests/fleet.ts";
import { connectorOf, deviceName, type Kind, TARGET } from "./ground.ts";

/** Devices that start at once. */
const AT_ONCE = 16;
/** Milliseconds that one may take to be online first. */
const PATIENCE = 120_000;

if (import.meta.main) {
  const [path = "", transport = "", first = "", count = ""] = Deno.args;
  await run(new Home(path), transport as Kind, Number(first), Number(count));
}

async function run(home: Home, transport: Kind, first: number, count: number): Promise<void> {
  const authority = (await home.authority())!;
  const { local, root } = (await home.relayEndpoint())!;
  const connector = connectorOf(transport, root, DEVICE_LIMITS);
  const verifier = new Verifier(authority.publicJwk);
  const start = async (id: string) => {
    const identity = await enrol(authority, id);
    const device = new Device({
      ...{ id, identity, verifier, allow: [TARGET], connect: echoTarget },
      log: SILENT,
    });
    const supervisor = superviseEndpoint({
      ...{ relay: new URL(local), connector, agent: "bench", log: SILENT },
      claim: () => identity.claim(),
      epoch: () => device.epoch,
      onUp(link) {
        device.serve(link);
        reportRoundTrips(link);
      },
    });
    supervisor.run(new AbortController().signal).catch((cause) => {
      console.error(`${id}: ${describe(cause)}`);
      Deno.exit(1);
    });
    await supervisor.link(PATIENCE);
  };
  // Thousands that start at one instant would be a herd; that is measured when the relay comes back.
  let next = first;
  const starter = async () => {
    while (next < first + count) await start(deviceName(next++));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, starter));
}

async function enrol(authority: Authority, name: string): Promise<Membership> {
  const keys = await generateMemberKeys();
  const { key: holder, agreement } = await publicKeysOf(keys);
  const { token: credential } = await authority.issue({ role: "device", name, holder, agreement });
  return await Membership.of({ credential, ...keys });
}
