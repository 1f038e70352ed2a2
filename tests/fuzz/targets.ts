/** Everything that is fuzzed. */

import type { Target } from "./target.ts";
import { channelPair } from "./targets/channel_pair.ts";
import { channelPeer } from "./targets/channel_peer.ts";
import { controlLink } from "./targets/control_link.ts";
import { controlRelay } from "./targets/control_relay.ts";
import { files } from "./targets/files.ts";
import { handshakes } from "./targets/handshakes.ts";
import { shortHandshakes } from "./targets/short_handshakes.ts";
import { http3 } from "./targets/http3.ts";
import { http3Peer } from "./targets/http3_peer.ts";
import { identities } from "./targets/identities.ts";
import { lanes } from "./targets/lanes.ts";
import { messages } from "./targets/messages.ts";
import { muxPeer } from "./targets/mux_peer.ts";
import { records } from "./targets/records.ts";
import { sharedTargets } from "./targets/shared.ts";
import { websockets } from "./targets/websockets.ts";
import { wordTargets } from "./targets/words.ts";

/** Takes apart what comes from a peer, a file or a person. */
export const decoders: readonly Target[] = [
  ...messages,
  ...records,
  ...handshakes,
  ...shortHandshakes,
  ...identities,
  ...websockets,
  ...http3,
  ...files,
  ...wordTargets,
];
/** Acts on what comes from a peer, in whatever order it comes. */
export const machines: readonly Target[] = [
  controlRelay,
  controlLink,
  channelPeer,
  channelPair,
  muxPeer,
  ...sharedTargets,
  http3Peer,
  lanes,
];

export const allTargets: readonly Target[] = [...decoders, ...machines];
