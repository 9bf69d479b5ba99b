import { describe, expect, it } from "vitest";
import { ago, bytes, duration, number, quantity } from "./words";

const now = new Date(2026, 10, 21, 14, 28).getTime();
const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("time in words", () => {
  it("is relative within a day, and a date after", () => {
    expect(plain(ago(new Date(now - 4 * 60_000), now))).toBe("4 min ago");
    expect(plain(ago(new Date(now - 161 * 60_000), now))).toBe("2 h 41 min ago");
    expect(ago(new Date(2026, 10, 19, 14, 2), now)).toBe("19 Nov, 14:02");
  });

  it("never counts seconds of minutes", () => {
    expect(plain(duration(61_000))).toBe("1 min");
    expect(plain(duration(26 * 3_600_000))).toBe("1 d 2 h");
  });
});

describe("numbers in words", () => {
  it("carry their unit behind a thin space and a true minus sign", () => {
    expect(quantity(-96, "dBm")).toBe("\u221296\u202fdBm");
    expect(quantity(9.1, "Cel")).toBe("9.1\u202f°C");
  });

  it("have no false precision", () => {
    expect(number(8.4271)).toBe("8.43");
    expect(number(4812)).toBe("4,812");
    expect(plain(bytes(151_552))).toBe("148 kB");
  });
});
