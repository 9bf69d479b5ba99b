/** A QR code as a drawing: one path, sharp at any size and on paper. Dark on white in every theme, as readers expect. */
import { encodeQR } from "qr";
import { useMemo } from "react";

/** ISO/IEC 18004 asks for four modules of nothing around a code. */
const QUIET_MODULES = 4;

export function QrCode({ text, label, size }: { text: string; label: string; size: number | string }) {
  const { side, path } = useMemo(() => drawn(text), [text]);
  return (
    <svg
      width={size}
      height={size}
      viewBox={`0 0 ${side} ${side}`}
      role="img"
      aria-label={label}
      shapeRendering="crispEdges"
    >
      <rect width={side} height={side} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

/** The modules of a code, each row of neighbours as one rectangle. */
export function drawn(text: string): { side: number; path: string } {
  const modules = encodeQR(text, "raw", { ecc: "medium", border: QUIET_MODULES });
  let path = "";
  for (const [y, row] of modules.entries()) {
    for (let x = 0; x < row.length; x++) {
      const from = x;
      while (row[x]) x++;
      if (x > from) path += `M${from} ${y}h${x - from}v1h${from - x}z`;
    }
  }
  return { side: modules.length, path };
}
