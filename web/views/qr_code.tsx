/** A QR code as one path: black on white in any theme, since readers expect that. */

import qrcode from "qrcode-generator";

/** Modules of white around it (ISO/IEC 18004). */
const QUIET = 4;

export function QrCode({ text }: { text: string }) {
  // Type 0: the smallest that has room.
  const code = qrcode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  let path = "";
  for (let y = 0; y < count; y++) {
    for (let x = 0; x < count; x++) {
      if (code.isDark(y, x)) path += `M${x + QUIET},${y + QUIET}h1v1h-1z`;
    }
  }
  const side = count + 2 * QUIET;
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${side} ${side}`}
      role="img"
      aria-label="QR code of the invitation"
    >
      <rect width={side} height={side} fill="#fff" />
      <path d={path} fill="#000" shape-rendering="crispEdges" />
    </svg>
  );
}
