import { describe, expect, it } from "vitest";
import { bounds, check, valueText } from "./value";

describe("what somebody typed", () => {
  it("is sent as the resource's type", () => {
    expect(check(" 600 ", "integer", "1..86400")).toEqual({ value: 600 });
    expect(check("8,5", "float", "")).toEqual({ value: 8.5 });
    expect(check("true", "boolean", "")).toEqual({ value: true });
    expect(check(" as it is ", "string", "")).toEqual({ value: " as it is " });
  });

  it("is refused here, in words, before a sleeping device could refuse it hours later", () => {
    expect(check("12.5", "integer", "")).toEqual({ wrong: "This takes a whole number." });
    expect(check("90000", "integer", "1..86400")).toEqual({ wrong: "This must be between 1 and 86,400." });
    expect(check("", "float", "")).toEqual({ wrong: "This takes a number." });
    expect(check("3", "objlnk", "")).toEqual({ wrong: "This takes object:instance, like 3:0." });
  });

  it("is not held against a range that is not one", () => {
    expect(bounds("U, UQ, S")).toBeNull();
    expect(bounds("-40..125")).toEqual([-40, 125]);
    expect(bounds("0-255")).toEqual([0, 255]);
  });
});

it("shows each instance of a multiple resource with its number", () => {
  expect(valueText({ "0": 3, "1": 8 }, "integer", "")).toBe("0: 3, 1: 8");
});
