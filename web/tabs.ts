/** By which tabs of one operator tell each other that it has signed out (a BroadcastChannel). */

export const TABS = "tunnel";
