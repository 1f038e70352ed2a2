/**
 * Addresses that a device connects to only where its list names them exactly: those that mean the
 * machine itself in disguise, a whole network, or what a cloud tells its machines in confidence. A
 * name on the list may lead to any of them, today or from tomorrow on.
 */

import { ipBytes } from "./ip.ts";

type Rule = readonly [prefix: string, bits: number, what: string];

/** Addresses of the rules, once read. */
const read = new Map<string, Uint8Array>();

const LINK_LOCAL = "a link-local address, where clouds keep their metadata";
const THIS_HOST = "another word for this host";
const metadataOf = (cloud: string) => `the metadata service of ${cloud}`;

const V4: readonly Rule[] = [
  ["0.0.0.0", 8, THIS_HOST], // RFC 1122, section 3.2.1.3
  // RFC 3927. AWS, Azure, Google, Oracle, Alibaba (some), Akamai, OpenStack: 169.254.169.254; AWS
  // ECS and EKS: 169.254.170.2, 169.254.170.23; Tencent: 169.254.0.23; Scaleway: 169.254.42.42.
  ["169.254.0.0", 16, LINK_LOCAL],
  // learn.microsoft.com, "What is IP address 168.63.129.16?"
  ["168.63.129.16", 32, metadataOf("Azure")],
  // Alibaba Cloud, Elastic Compute Service, "Instance metadata"
  ["100.100.100.200", 32, metadataOf("Alibaba")],
  // docs.oracle.com, Cloud at Customer, "Retrieve Predefined Instance Metadata"
  ["192.0.0.192", 32, metadataOf("Oracle")],
  ["224.0.0.0", 4, "a multicast address"], // RFC 5771
  ["255.255.255.255", 32, "the broadcast address"], // RFC 919
];

const V6: readonly Rule[] = [
  ["::", 128, THIS_HOST], // RFC 4291, section 2.5.2
  ["fe80::", 10, LINK_LOCAL], // RFC 4291, section 2.5.6
  ["ff00::", 8, "a multicast address"], // RFC 4291, section 2.7
  // docs.aws.amazon.com, EC2, "Access instance metadata"; EKS, "Pod Identity Agent"
  ["fd00:ec2::254", 128, metadataOf("AWS")],
  ["fd00:ec2::23", 128, metadataOf("AWS")],
  // cloud.google.com, Compute Engine, "About VM metadata": instances with IPv6 alone
  ["fd20:ce::254", 128, metadataOf("Google")],
  // github.com/oracle/oci-python-sdk, the signers for instance principals
  ["fd00:c1::a9fe:a9fe", 128, metadataOf("Oracle")],
  // github.com/canonical/cloud-init, the data sources Aliyun, Akamai and Scaleway
  ["fd00:100::100:200", 128, metadataOf("Alibaba")],
  ["fd00:a9fe:a9fe::1", 128, metadataOf("Akamai")],
  ["fd00:42::42", 128, metadataOf("Scaleway")],
];

/** IPv6 addresses that have an IPv4 address in them, which is what may be reached. */
const EMBEDDED: readonly [prefix: string, bits: number, at: number][] = [
  ["::ffff:0:0", 96, 12], // IPv4-mapped: RFC 4291, section 2.5.5.2
  ["::", 96, 12], // IPv4-compatible: RFC 4291, section 2.5.5.1
  ["::ffff:0:0:0", 96, 12], // IPv4-translated: RFC 2765, section 2.1
  ["64:ff9b::", 96, 12], // NAT64: RFC 6052, section 2.1
  ["64:ff9b:1::", 48, 12], // NAT64 of a network's own, as a /96: RFC 8215
  ["2002::", 16, 2], // 6to4: RFC 3056, section 2
];

/**
 * What an address is that nobody means by accident, in a few words; undefined where it is none such.
 * What is no IP address at all is one: only addresses can be judged.
 */
export function forbiddenAddress(address: string): string | undefined {
  const bytes = ipBytes(address);
  if (!bytes) return "not an IP address";
  if (bytes.length === 4) return find(V4, bytes);
  const direct = find(V6, bytes);
  if (direct || isLoopback(bytes)) return direct;
  const inner = EMBEDDED.find(([prefix, bits]) => matches(bytes, prefix, bits));
  return inner && find(V4, bytes.subarray(inner[2], inner[2] + 4));
}

function find(rules: readonly Rule[], bytes: Uint8Array): string | undefined {
  return rules.find(([prefix, bits]) => matches(bytes, prefix, bits))?.[2];
}

function matches(bytes: Uint8Array, prefix: string, bits: number): boolean {
  let wanted = read.get(prefix);
  if (!wanted) read.set(prefix, wanted = ipBytes(prefix)!);
  for (let at = 0; at * 8 < bits; at++) {
    const mask = 0xff & (0xff << Math.max(0, 8 - (bits - at * 8)));
    if ((bytes[at]! & mask) !== (wanted[at]! & mask)) return false;
  }
  return true;
}

/** `::1` looks like an IPv4-compatible address and is none. */
function isLoopback(bytes: Uint8Array): boolean {
  return bytes.every((byte, at) => byte === (at === 15 ? 1 : 0));
}
