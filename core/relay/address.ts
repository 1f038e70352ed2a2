/** Source addresses as limits count them. */

/**
 * What stands for an address: IPv4 whole, also where IPv6 carries it; of IPv6 the first 64 bits, because
 * one customer has at least as many addresses as fit behind them (RFC 6177).
 */
export function addressKey(hostname: string): string {
  if (!hostname.includes(":")) return hostname;
  const words = expand(hostname);
  if (!words) return hostname;
  const isMapped = words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff;
  if (isMapped) return words.slice(6).flatMap((word) => [word >> 8, word & 0xff]).join(".");
  return `${words.slice(0, 4).map((word) => word.toString(16)).join(":")}::/64`;
}

/** The eight words of an IPv6 address; undefined for what is none. */
function expand(text: string): number[] | undefined {
  const url = `http://[${text.replace(/%.*$/, "")}]/`;
  if (!URL.canParse(url)) return undefined;
  // The parser writes it in its shortest form, without dots.
  const [head = "", tail] = new URL(url).hostname.slice(1, -1).split("::");
  const words = (part: string | undefined) =>
    part ? part.split(":").map((word) => parseInt(word, 16)) : [];
  const [first, last] = [words(head), words(tail)];
  return [...first, ...new Array(8 - first.length - last.length).fill(0), ...last];
}
