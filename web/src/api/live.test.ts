import { describe, expect, it } from "vitest";
import { changeOf, touched } from "./live";

describe("a change", () => {
  it("of an alert renews the inbox at once and the fleet's sums a little later", () => {
    const { near, far } = touched({ type: "alert", alert: "alr-1", farm: "frm-1" });

    expect(near).toContainEqual(["alerts"]);
    expect(near).toContainEqual(["alert", "alr-1"]);
    expect(far).toEqual([["fleet"], ["farm", "frm-1"]]);
  });

  it("of readings never asks for a list again", () => {
    const { near, far } = touched({ type: "readings", device: "dev-1" });

    expect([...near, ...far]).toEqual([["device", "dev-1"]]);
  });

  it("of a stranger renews the security log and no device", () => {
    expect(touched({ type: "security" })).toEqual({ near: [["security"]], far: [["trust"]] });
  });

  it("that cannot be read is still a change of its type", () => {
    expect(changeOf({ id: null, event: "pipeline", data: "{" })).toEqual({ type: "pipeline" });
  });
});
