/** The variable NO_PROXY: which hosts are reached without a proxy. */

/**
 * True when an entry of the list covers the host, or it is this machine. Entries are separated by
 * commas or blanks: `*`, a host, a domain with all below it (`example.com`, `.example.com`,
 * `*.example.com`), an IP address, a range (`10.0.0.0/8`); each but the range may end in `:port`.
 *
 * @param host in lower case, an IPv6 address without brackets
 */
export function matchesNoProxy(list: string, host: string, port: number): boolean {
  const address = parseAddress(host);
  if (host === "localhost" || host.endsWith(".localhost") || isLoopback(address)) return true;
  return list.toLowerCase().split(/[\s,]+/).some((entry) => covers(entry, host, address, port));
}

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

function covers(entry: string, host: string, address: Address | undefined, port: number) {
  if (entry === "*") return true;
  const slash = entry.indexOf("/");
  if (slash > 0) return inRange(address, entry.slice(0, slash), entry.slice(slash + 1));
  const [name, entryPort] = splitPort(entry);
  if (name === "" || (entryPort !== undefined && entryPort !== port)) return false;
  const other = parseAddress(name);
  if (address || other) return address?.bits === other?.bits && address?.value === other?.value;
  const domain = name.replace(/^\*?\./, "");
  return host === domain || host.endsWith(`.${domain}`);
}

/** `name:8443` and `[::1]:8443` in parts; a bare IPv6 address has no port. */
function splitPort(entry: string): [name: string, port?: number] {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  const name = match ? match[1]! : entry;
  return [name.replace(/^\[(.*)\]$/, "$1"), match ? Number(match[2]) : undefined];
}

function inRange(address: Address | undefined, base: string, length: string): boolean {
  const start = parseAddress(base);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (!address || !start || address.bits !== start.bits || !(prefix <= start.bits)) return false;
  const rest = BigInt(start.bits - prefix);
  return address.value >> rest === start.value >> rest;
}

function isLoopback(address: Address | undefined): boolean {
  if (!address) return false;
  return address.bits === 32 ? address.value >> 24n === 127n : address.value === 1n;
}

function parseAddress(text: string): Address | undefined {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    return { bits: 32, value: parts.reduce((sum, part) => sum << 8n | BigInt(part), 0n) };
  }
  // What could end the brackets is left out, or `::1]/` would be an address.
  if (!/^(?=.*:)[0-9a-f:.]{2,45}$/.test(text) || !URL.canParse(`http://[${text}]`)) {
    return undefined;
  }
  // The URL parser knows every spelling, and writes them all as groups with one gap at most.
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":");
  const before = groups(head);
  const after = groups(tail ?? "");
  const gap = Array<string>(8 - before.length - after.length).fill("0");
  const value = [...before, ...gap, ...after]
    .reduce((sum, group) => sum << 16n | BigInt(`0x${group}`), 0n);
  return { bits: 128, value };
}
