import { expect, test } from "vitest";
import { balance, heldAt, OPERATIONS, operationsOf, pathsOf } from "./words";

test("paths may be separated by anything people use, and nothing means all", () => {
  expect(pathsOf("/3/*, /3303/*\n/5/0/1")).toEqual(["/3/*", "/3303/*", "/5/0/1"]);
  expect(pathsOf("  ")).toEqual(["*"]);
});

test("a balance reads as a sentence", () => {
  expect(balance(7, 1)).toBe("7 people gain, 1 person loses.");
  expect(balance(1, 0)).toBe("1 person gains.");
  expect(balance(0, 2)).toBe("2 people lose.");
  expect(balance(0, 0)).toBe("Nobody gains or loses anything by it now.");
});

test("a role without places is held everywhere", () => {
  expect(heldAt([])).toBe("everywhere");
  expect(heldAt([{ name: "North" }, { name: "Pen 4, South" }])).toBe("at North; Pen 4, South");
});

test("another server is offered what a device can grant it, and people everything", () => {
  expect(operationsOf("server:102").map(([value]) => value)).toEqual(["read", "write", "execute", "create", "delete"]);
  expect(operationsOf("role:viewer")).toBe(OPERATIONS);
});
