import { conformance } from "../../tests/conformance.ts";
import { networkFixture } from "../../tests/network_fixture.ts";
import { webtransportTransport } from "./transport.ts";

conformance(networkFixture(webtransportTransport()));
