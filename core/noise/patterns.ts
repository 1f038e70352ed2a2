/**
 * The handshake patterns: the interactive ones of Noise, section 7.5, and one with a pre-shared key
 * (section 9.4). The product uses IK; the others are what the interpreter of handshake.ts is tested
 * on, and cost a line each.
 */

export type DhToken = "ee" | "es" | "se" | "ss";
export type Token = "e" | "s" | "psk" | DhToken;
export type Role = "initiator" | "responder";

export interface Pattern {
  /** Whose static keys the other end knows beforehand. */
  readonly known: readonly Role[];
  /** The tokens of each message; the initiator writes the first. */
  readonly messages: readonly (readonly Token[])[];
}

export const PATTERNS = {
  NN: { known: [], messages: [["e"], ["e", "ee"]] },
  NK: { known: ["responder"], messages: [["e", "es"], ["e", "ee"]] },
  NX: { known: [], messages: [["e"], ["e", "ee", "s", "es"]] },
  KN: { known: ["initiator"], messages: [["e"], ["e", "ee", "se"]] },
  KK: { known: ["initiator", "responder"], messages: [["e", "es", "ss"], ["e", "ee", "se"]] },
  KX: { known: ["initiator"], messages: [["e"], ["e", "ee", "se", "s", "es"]] },
  XN: { known: [], messages: [["e"], ["e", "ee"], ["s", "se"]] },
  XK: { known: ["responder"], messages: [["e", "es"], ["e", "ee"], ["s", "se"]] },
  XX: { known: [], messages: [["e"], ["e", "ee", "s", "es"], ["s", "se"]] },
  IN: { known: [], messages: [["e", "s"], ["e", "ee", "se"]] },
  IK: { known: ["responder"], messages: [["e", "es", "s", "ss"], ["e", "ee", "se"]] },
  IX: { known: [], messages: [["e", "s"], ["e", "ee", "se", "s", "es"]] },
  IKpsk2: { known: ["responder"], messages: [["e", "es", "s", "ss"], ["e", "ee", "se", "psk"]] },
} satisfies Record<string, Pattern>;

export type PatternName = keyof typeof PATTERNS;

/** Who writes the message with this index, from 0. */
export function writerOf(index: number): Role {
  return index % 2 === 0 ? "initiator" : "responder";
}

/** Whether this end of the handshake has a static key. */
export function hasStatic({ known, messages }: Pattern, role: Role): boolean {
  return known.includes(role) ||
    messages.some((tokens, index) => writerOf(index) === role && tokens.includes("s"));
}
