/** As peers and logs see this program. */
export const VERSION = "0.1.0";
export const AGENT = `tunnel/${VERSION}`;
