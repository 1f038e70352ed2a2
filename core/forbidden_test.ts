import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../tests/random.ts";
import { forbiddenAddress } from "./forbidden.ts";

const test = suite("forbidden addresses");

/** IPv4 addresses that are forbidden, in whatever spelling, and those beside them that are not. */
const v4: [address: string, what: RegExp | undefined][] = [
  ["0.0.0.0", /this host/],
  ["0.255.255.255", /this host/],
  ["1.0.0.0", undefined],
  ["127.0.0.1", undefined],
  ["10.0.0.5", undefined],
  ["100.100.100.199", undefined],
  ["100.100.100.200", /metadata service of Alibaba/],
  ["100.100.100.201", undefined],
  ["168.63.129.15", undefined],
  ["168.63.129.16", /metadata service of Azure/],
  ["168.63.129.17", undefined],
  ["169.253.255.255", undefined],
  ["169.254.0.0", /link-local/],
  ["169.254.0.23", /link-local/],
  ["169.254.42.42", /link-local/],
  ["169.254.169.254", /link-local/],
  ["169.254.170.2", /link-local/],
  ["169.254.255.255", /link-local/],
  ["169.255.0.0", undefined],
  ["192.0.0.191", undefined],
  ["192.0.0.192", /metadata service of Oracle/],
  ["192.168.0.5", undefined],
  ["223.255.255.255", undefined],
  ["224.0.0.1", /multicast/],
  ["239.255.255.250", /multicast/],
  ["240.0.0.1", undefined],
  ["255.255.255.254", undefined],
  ["255.255.255.255", /broadcast/],
];

/** How an IPv4 address is written inside IPv6. */
const spellings: [what: string, spell: (dotted: string, hex: string) => string][] = [
  ["plain", (dotted) => dotted],
  ["IPv4-mapped", (dotted) => `::ffff:${dotted}`],
  ["IPv4-mapped in hexadecimal", (_, hex) => `::ffff:${hex}`],
  ["IPv4-mapped in full and in capitals", (_, hex) => `0:0:0:0:0:FFFF:${hex.toUpperCase()}`],
  ["IPv4-compatible", (dotted) => `::${dotted}`],
  ["IPv4-translated", (_, hex) => `::ffff:0:${hex}`],
  ["NAT64", (dotted) => `64:ff9b::${dotted}`],
  ["NAT64 of a network's own", (_, hex) => `64:ff9b:1:fffe::${hex}`],
  ["6to4", (_, hex) => `2002:${hex}::1`],
  ["6to4 with a zone", (_, hex) => `2002:${hex}::1%eth0`],
];
for (const [spelling, spell] of spellings) {
  for (const [address, what] of v4) {
    const text = spell(address, hexOf(address));
    test(`${text} (${spelling}) is ${what ? "forbidden" : "no concern"}`, () => judge(text, what));
  }
}

const v6: [address: string, what: RegExp | undefined][] = [
  ["::", /this host/],
  ["0:0:0:0:0:0:0:0", /this host/],
  ["::1", undefined],
  ["::2", /this host/],
  ["fe7f:ffff::1", undefined],
  ["fe80::1", /link-local/],
  ["fe80::a9fe:a9fe", /link-local/],
  ["fe80::1%eth0", /link-local/],
  ["febf:ffff::1", /link-local/],
  ["fec0::1", undefined],
  ["ff02::1", /multicast/],
  ["feff::1", undefined],
  ["fd00:ec2::254", /metadata service of AWS/],
  ["FD00:0EC2:0:0:0:0:0:254", /metadata service of AWS/],
  ["fd00:ec2::23", /metadata service of AWS/],
  ["fd00:ec2::255", undefined],
  ["fd20:ce::254", /metadata service of Google/],
  ["fd00:c1::a9fe:a9fe", /metadata service of Oracle/],
  ["fd00:100::100:200", /metadata service of Alibaba/],
  ["fd00:a9fe:a9fe::1", /metadata service of Akamai/],
  ["fd00:42::42", /metadata service of Scaleway/],
  ["fd12:3456::1", undefined],
  ["2001:db8::a9fe:a9fe", undefined],
  ["2606:4700::1111", undefined],
];
for (const [address, what] of v6) {
  test(`${address} is ${what ? "forbidden" : "no concern"}`, () => judge(address, what));
}

for (const text of ["", "host", "1.2.3", "0x7f.1", "2852039166", ":::", "1::2::3", "%eth0"]) {
  test(`${JSON.stringify(text)} is not judged but forbidden`, () => {
    judge(text, /not an IP address/);
  });
}

test("no IPv4 address is judged otherwise because of its spelling", () => {
  const random = new Random(newSeed());
  for (let i = 0; i < 2_000; i++) {
    const address = [...random.bytes(4)].join(".");
    const plain = forbiddenAddress(address);
    for (const [spelling, spell] of spellings) {
      const text = spell(address, hexOf(address));
      if (text === "::0.0.0.1") continue; // That is ::1.
      assert.is(forbiddenAddress(text), plain, `${text} (${spelling})`);
    }
  }
});

test.run();

function judge(address: string, what: RegExp | undefined): void {
  const said = forbiddenAddress(address);
  if (what) assert.match(said ?? "nothing", what);
  else assert.is(said, undefined);
}

/** `a9fe:a9fe` for 169.254.169.254. */
function hexOf(address: string): string {
  const [a, b, c, d] = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return `${a}${b}:${c}${d}`;
}
