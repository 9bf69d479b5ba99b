import { expect, test } from "vitest";
import { Problem } from "../../api/client";
import {
  type Anchor,
  type Authority,
  changing,
  refusal,
  removal,
  retirement,
  type TrustScreen,
  unplaced,
  users,
  verdict,
  wayOf,
} from "./words";

const anchor = (more: Partial<Anchor> = {}): Anchor => ({
  id: "tra-1",
  name: "Makers",
  state: "trusted",
  subject: "CN=Makers",
  serial: "1",
  fingerprint: "f",
  not_before: null,
  not_after: null,
  is_over: false,
  ends_soon: false,
  zero_touch: "off",
  kind: "camera",
  created_at: null,
  created_by: "",
  retired_at: null,
  devices: 0,
  namesakes: [],
  authority: "",
  successor: "",
  succeeds: "",
  proof: null,
  ...more,
});
const screen = (...anchors: Anchor[]): TrustScreen => ({
  at: "",
  anchors,
  elsewhere: 0,
  unseen: 0,
  waiting: [],
  has_more_waiting: false,
});

test("only what lets devices in is counted", () => {
  expect(verdict(screen(anchor({ state: "unproved" }), anchor({ is_over: true })))).toMatch(/^No authority/);
  expect(verdict(screen(anchor(), anchor({ state: "retired" })))).toBe("1 authority may sign for your devices.");
  expect(verdict(screen(anchor(), anchor()))).toBe("2 authorities may sign for your devices.");
});

test("a change of authorities says how far it has come and what to do then", () => {
  expect(changing(anchor({ successor: "B", devices: 1 }))).toBe(
    "It gives way to B. 1 device has not changed over: leave it until none is left.",
  );
  expect(changing(anchor({ successor: "B" }))).toContain("retire it");
  expect(changing(anchor({ succeeds: "A" }))).toBe("It takes over from A.");
  expect(changing(anchor())).toBe("");
});

test("the removal of an anchor tells whom it cuts off, and whom perhaps", () => {
  const old = anchor({ devices: 12, namesakes: ["Makers 2"] });
  const alone = removal(old, screen(old));
  const beside = removal(old, { ...screen(old, anchor({ id: "tra-2" })), elsewhere: 3 });

  expect(alone[0]).toContain("12 devices");
  expect(alone[0]).toContain("there is none then");
  expect(beside[0]).toContain("only with a certificate of another trust anchor.");
  expect(beside[1]).toContain("Makers 2 bears the same name");
  expect(beside[2]).toContain("3 devices showed a certificate of an authority in between");
  expect(removal(anchor({ state: "unproved" }), screen())).toEqual([
    "It lets nobody in yet, so nothing changes for any device.",
  ]);
  expect(removal(anchor({ is_over: true, devices: 3 }), screen())).toEqual([
    "It has ended and lets nobody in already, so nothing changes for any device.",
  ]);
  expect(removal(anchor(), screen())[0]).toBe("No device showed a certificate of it.");
});

test("who retires the only authority is told to make a successor first", () => {
  const authority = { devices: 0, state: "current", successor: null } as Authority;

  expect(retirement(authority).join(" ")).toContain("make one first");
  expect(retirement({ ...authority, devices: 2, state: "retiring" }).join(" ")).toContain("2 devices");
  expect(retirement({ ...authority, state: "retiring" }).join(" ")).not.toContain("make one first");
});

test("devices that hang on no anchor we know of are told apart", () => {
  expect(unplaced({ elsewhere: 0, unseen: 0 })).toEqual([]);
  expect(unplaced({ elsewhere: 1, unseen: 2 })).toEqual([
    "1 device showed a certificate of an authority in between. Which trust anchor is above it is not kept.",
    "2 devices with a certificate have not come yet.",
  ]);
});

test("each way with strangers is said in a sentence", () => {
  expect(wayOf(anchor())).toContain("turned away");
  expect(wayOf(anchor({ zero_touch: "approve" }))).toBe(
    "It brings in cameras that nobody added, when somebody approves them.",
  );
  expect(wayOf(anchor({ zero_touch: "admit" }))).toContain("by itself");
  expect(users(anchor({ state: "unproved" }))).toContain("before it is proved");
});

test("a refusal ends with what to do, and one that is not known stands as it is", () => {
  const problem = (title: string, status = 400) => new Problem(status, "invalid", title, "", "");

  expect(refusal("Not proved", problem("certificate: its common name is not the challenge"))).toMatch(
    /step 1 once more/,
  );
  expect(refusal("Not added", problem("certificate: it may not issue others"))).toMatch(/which signed it\.$/);
  expect(refusal("Not added", problem("name: empty"))).toBe("Not added (name: empty).");
  expect(refusal("Not added", problem("it has expired", 503))).not.toContain("in force");
});
