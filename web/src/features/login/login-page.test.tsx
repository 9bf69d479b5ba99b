import { expect, it } from "vitest";
import { inside, tooMany } from "./login-page";

it("returns to the page that was asked for, and never to another site", () => {
  expect(inside("/devices/dev-1?range=7d")).toBe("/devices/dev-1?range=7d");
  expect(inside("//elsewhere.example/")).toBe("/");
  expect(inside("/\\elsewhere.example/")).toBe("/");
  expect(inside("https://elsewhere.example/")).toBe("/");
  expect(inside(undefined)).toBe("/");
});

it("whoever has to wait is told for how long, in a unit that people count in", () => {
  expect(tooMany(15)).toBe("Too many wrong passwords. Wait 15 seconds, then try again.");
  expect(tooMany(480)).toBe("Too many wrong passwords. Wait 8 minutes, then try again.");
  expect(tooMany(0)).toContain("60 seconds");
});
