import { describe, expect, it } from "vitest";
import { bounds, check, choices, editable, fromHex, lengths, parseLinks, type Shape, toHex, valueText } from "./value";

const shape = (type: string, range = "", units = ""): Shape => ({ type, range, units });

describe("what somebody typed", () => {
  it("is sent as the resource's type", () => {
    expect(check(" 600 ", shape("integer", "1..86400"))).toEqual({ value: 600 });
    expect(check("8,5", shape("float"))).toEqual({ value: 8.5 });
    expect(check("true", shape("boolean"))).toEqual({ value: true });
    expect(check("false", shape("boolean"))).toEqual({ value: false });
    expect(check(" as it is ", shape("string"))).toEqual({ value: " as it is " });
    expect(check("65535:65535", shape("objlnk"))).toEqual({ value: "65535:65535" });
    expect(check("01 02:ff", shape("opaque"))).toEqual({ value: "AQL/" });
    expect(check("2026-11-01T06:00:00Z", shape("time"))).toEqual({ value: 1_793_512_800 });
  });

  it("is refused here, in words, before a sleeping device could refuse it hours later", () => {
    expect(check("12.5", shape("integer"))).toEqual({ wrong: "This takes a whole number." });
    expect(check("90000", shape("integer", "1..86400"))).toEqual({ wrong: "This must be between 1 and 86,400." });
    expect(check("-41", shape("float", "-40.0..125"))).toEqual({ wrong: "This must be between −40 and 125." });
    expect(check("", shape("float"))).toEqual({ wrong: "This takes a number." });
    expect(check("3", shape("objlnk"))).toEqual({ wrong: "This takes object:instance, like 3:0." });
    expect(check("3:65536", shape("objlnk"))).toEqual({ wrong: "This takes object:instance, like 3:0." });
    expect(check("0f a", shape("opaque"))).toEqual({ wrong: "This takes bytes as pairs of 0 to 9 and a to f." });
    expect(check("", shape("boolean"))).toEqual({ wrong: "Choose yes or no." });
    expect(check("1", shape("boolean"))).toEqual({ wrong: "Choose yes or no." });
    expect(check("soon", shape("time"))).toEqual({ wrong: "This takes a date and a time." });
    expect(check("/3/0", shape("corelnk"))).toHaveProperty("wrong");
  });

  it("is yes or no where a definition counts them up, too", () => {
    expect(choices(shape("boolean", "0: off 1: on"))).toBeNull();
  });

  it("keeps every digit of 64 bit, and no more than 64 bit", () => {
    expect(check("18446744073709551615", shape("unsigned"))).toEqual({ value: "18446744073709551615" });
    expect(check("9007199254740993", shape("integer"))).toEqual({ value: "9007199254740993" });
    expect(check("-9223372036854775808", shape("integer"))).toEqual({ value: "-9223372036854775808" });
    expect(check("9007199254740991", shape("integer"))).toEqual({ value: 9_007_199_254_740_991 });
    expect(check("18446744073709551616", shape("unsigned"))).toHaveProperty("wrong");
    expect(check("9223372036854775808", shape("integer"))).toHaveProperty("wrong");
    expect(check("-1", shape("unsigned"))).toHaveProperty("wrong");
    expect(check("18446744073709551615", shape("unsigned", "0..18446744073709551614"))).toHaveProperty("wrong");
  });

  it("has as many bytes as it may have, whatever it looks like", () => {
    expect(check("sjø", shape("string", "1..3"))).toEqual({ wrong: "This takes 1 to 3 bytes, and has 4." });
    expect(check("", shape("string", "1..64 bytes"))).toEqual({ wrong: "This takes 1 to 64 bytes, and has 0." });
    expect(check("1234567890", shape("string", "10,26"))).toEqual({ value: "1234567890" });
    expect(check("123", shape("string", "10,26"))).toEqual({ wrong: "This takes 10 or 26 bytes, and has 3." });
    expect(check("ff", shape("opaque", "16,32,48"))).toHaveProperty("wrong");
  });
});

describe("a range", () => {
  it("is one only where it says so", () => {
    expect(bounds("U, UQ, S")).toBeNull();
    expect(bounds("-40..125")).toEqual(["-40", "125"]);
    expect(bounds("0-255")).toEqual(["0", "255"]);
    expect(bounds("1...15")).toEqual(["1", "15"]);
    expect(bounds("0; 3.8..20.5")).toBeNull();
    expect(lengths("32 bytes")).toEqual({ low: 0, high: 32 });
    expect(lengths("16-32-48 bytes")).toEqual([16, 32, 48]);
    expect(lengths("any")).toBeNull();
  });

  it("may count up what there is", () => {
    expect(choices(shape("integer", "0: disabled 1: normal 2: by hand"))).toEqual([
      { value: "0", label: "disabled" },
      { value: "1", label: "normal" },
      { value: "2", label: "by hand" },
    ]);
    expect(choices(shape("integer", "5, 10, 15"))?.map(({ value }) => value)).toEqual(["5", "10", "15"]);
    expect(choices(shape("string", "ON;OFF"))?.map(({ value }) => value)).toEqual(["ON", "OFF"]);
    expect(choices(shape("string", "10,26"))).toBeNull();
    expect(choices(shape("integer", "0..3"))).toBeNull();
    expect(choices(shape("integer", ""))).toBeNull();
  });
});

describe("a value", () => {
  it("of a multiple resource is shown with the number of each instance", () => {
    expect(valueText({ "0": 3, "1": 8 }, shape("integer"))).toBe("0: 3, 1: 8");
  });

  it("is said in the words of its type", () => {
    expect(valueText("18446744073709551615", shape("unsigned"))).toBe("18,446,744,073,709,551,615");
    expect(valueText(63.418712, shape("float", "", "lat"))).toBe("63.418712\u202f°");
    expect(valueText(-3, shape("integer"))).toBe("−3");
    expect(valueText(1, shape("integer", "0: off 1: on"))).toBe("on (1)");
    expect(valueText("65535:65535", shape("objlnk"))).toBe("none");
    expect(valueText("3303:0", shape("objlnk"))).toBe("/3303/0");
    expect(valueText("AQL/", shape("opaque"))).toBe("3\u202fB: 01 02 ff");
    expect(valueText("</3/0/9>;pmin=60,</5>", shape("corelnk"))).toBe("/3/0/9 (pmin=60), /5");
    expect(valueText("", shape("string"))).toBe("empty");
    expect(valueText(null, shape("string"))).toBe("");
  });

  it("goes into a field and comes back as it was", () => {
    for (const [value, type] of [
      ["18446744073709551615", "unsigned"],
      ["AQL/", "opaque"],
      [1_793_512_800, "time"],
      [8.25, "float"],
      ["3:0", "objlnk"],
    ] as const) {
      expect(check(editable(value, type), shape(type))).toEqual({ value });
    }
    expect(editable({ "0": 1 }, "integer")).toBe("");
  });
});

it("reads bytes as people write them", () => {
  expect(fromHex("DE:AD be ef")).toEqual(Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
  expect(fromHex("")).toEqual(new Uint8Array());
  expect(fromHex("xy")).toBeNull();
  expect(toHex(Uint8Array.of(0, 255))).toBe("00 ff");
});

it("reads links, also with commas in quotes", () => {
  expect(parseLinks('</3/0>;ct="0, 40";obs,</5>')).toEqual([
    { target: "/3/0", attributes: ['ct="0, 40"', "obs"] },
    { target: "/5", attributes: [] },
  ]);
  expect(parseLinks("")).toEqual([]);
  expect(parseLinks("</3/0>;=1")).toBeNull();
  expect(parseLinks("</3/0>,")).toBeNull();
});
