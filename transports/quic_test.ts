import { conformance } from "../tests/conformance.ts";
import { networkFixture } from "../tests/network_fixture.ts";
import { quic } from "./quic.ts";

conformance(networkFixture(quic));
