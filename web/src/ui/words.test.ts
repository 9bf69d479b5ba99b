import { describe, expect, it } from "vitest";
import { ago, ahead, bytes, capital, count, date, duration, number, plural, quantity, until } from "./words";

const now = new Date(2026, 10, 21, 14, 28).getTime();
const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("time in words", () => {
  it("is relative within a day, and a date after", () => {
    expect(plain(ago(new Date(now - 4 * 60_000), now))).toBe("4 min ago");
    expect(plain(ago(new Date(now - 161 * 60_000), now))).toBe("2 h 41 min ago");
    expect(ago(new Date(2026, 10, 19, 14, 2), now)).toBe("19 Nov, 14:02");
  });

  it("says when something is to come, and never a span in the past", () => {
    expect(plain(ahead(new Date(now + 18 * 60_000), now))).toBe("in 18 min");
    expect(plain(ahead(new Date(now + 5_000), now))).toBe("in 1 min");
    expect(ahead(new Date(now - 60_000), now)).toBe("now");
    expect(ahead(new Date(2026, 10, 21, 17, 10), now)).toBe("17:10");
    expect(until(new Date(2026, 10, 22, 14, 2), now)).toBe("tomorrow 14:02");
  });

  it("names the year of a day that may be years away", () => {
    expect(date(new Date(2031, 2, 12, 23, 59))).toBe("12 Mar 2031");
  });

  it("is never younger than now, whatever the two clocks say", () => {
    expect(ago(new Date(now + 4_000), now)).toBe("just now");
    expect(plain(duration(-5_000))).toBe("0 s");
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

  it("agree with what they count", () => {
    expect(plural(1, "device")).toBe("1 device");
    expect(plural(0, "device")).toBe("0 devices");
    expect(plural(2_100, "enclosure")).toBe("2,100 enclosures");
    expect(count(4_812)).toBe("4,812");
  });

  it("do not spell a unit as the registry does", () => {
    expect(plain(quantity(87, "%EL"))).toBe("87 %");
    expect(quantity("2.8.1")).toBe("2.8.1");
  });

  it("begin a sentence without shouting", () => {
    expect(capital("battery empty")).toBe("Battery empty");
    expect(capital("")).toBe("");
  });
});
