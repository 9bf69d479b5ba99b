import { decodeQR } from "qr/decode.js";
import { expect, it } from "vitest";
import { codeText, scanned } from "./device-code";
import { drawn } from "./qr";

const MODULE = 4;

/** What a camera would see of the drawing. */
function seen({ side, path }: { side: number; path: string }) {
  const width = side * MODULE;
  const data = new Uint8Array(width * width * 3).fill(255);
  for (const [, x, y, length] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    for (let line = Number(y) * MODULE; line < (Number(y) + 1) * MODULE; line++) {
      const from = (line * width + Number(x) * MODULE) * 3;
      data.fill(0, from, from + Number(length) * MODULE * 3);
    }
  }
  return { width, height: width, data };
}

it.each([
  codeText({ endpoint: "oxy-0501", identity: "oxy-0501", key: "0f1e2d3c4b5a69788796a5b4c3d2e1f0" }),
  codeText({ endpoint: "ø;ystein", identity: "x".repeat(128), key: "ab".repeat(64), enclosure: "enc-7K3M2QXA" }),
  "https://shoal.example/farms/frm-4QX9T2BC#enc-7K3M2QXA",
])("what is drawn is what is read: %s", (text) => {
  const read = decodeQR(seen(drawn(text)));

  expect(read).toBe(text);
  expect(scanned(read).is).not.toBe("wrong");
});

it("has four modules of nothing around it", () => {
  const { side, path } = drawn("a");
  const starts = [...path.matchAll(/M(\d+) (\d+)/g)].map((found) => [Number(found[1]), Number(found[2])]);

  expect(Math.min(...starts.flat())).toBe(4);
  expect(side).toBe(21 + 8);
});
