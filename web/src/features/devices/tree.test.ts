import { expect, it } from "vitest";
import { isMissing } from "./tree";

it("knows that a resource is missing only where the device was asked", () => {
  const found = { "/3": { ver: "1.2" }, "/3/0": {}, "/3/0/9": {}, "/5": {}, "/5/0": {} };

  expect(isMissing(found, "/3/0/9")).toBe(false);
  expect(isMissing(found, "/3/0/7")).toBe(true);
  expect(isMissing(found, "/5/0/3")).toBe(false);
  expect(isMissing({}, "/3/0/9")).toBe(false);
});
