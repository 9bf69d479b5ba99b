import { expect, it } from "vitest";
import { inside } from "./login-page";

it("returns to the page that was asked for, and never to another site", () => {
  expect(inside("/devices/dev-1?range=7d")).toBe("/devices/dev-1?range=7d");
  expect(inside("//elsewhere.example/")).toBe("/");
  expect(inside("/\\elsewhere.example/")).toBe("/");
  expect(inside("https://elsewhere.example/")).toBe("/");
  expect(inside(undefined)).toBe("/");
});
