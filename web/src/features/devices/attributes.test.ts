import { describe, expect, it } from "vitest";
import { ATTRIBUTES, attributesFor, attributesText, difference, parse, setFor, textsOf } from "./attributes";

it("says when a device reports in words", () => {
  expect(attributesText({ pmin: 10, pmax: 1800, gt: 8, con: true }, "mg/L")).toBe(
    "at least every 30\u202fmin, at most every 10\u202fs, above 8\u202fmg/L, waits for our receipt",
  );
  expect(attributesText({})).toBe("");
});

describe("a form", () => {
  it("has what makes sense for the path", () => {
    const names = (path: string, type: string) => attributesFor(path, type).map(({ name }) => name);
    expect(names("/3303/0", "")).not.toContain("gt");
    expect(names("/3303/0/5700", "float")).toContain("gt");
    expect(names("/3/0/1", "string")).not.toContain("gt");
    expect(names("/3342/0/5500", "boolean")).toContain("edge");
    expect(names("/3303/0/5700", "float")).not.toContain("edge");
  });

  it("is read as numbers, and what is empty is not set", () => {
    expect(parse({ pmin: "10", gt: "8,5", st: "", con: "1", edge: "0" }, ATTRIBUTES)).toEqual({
      attributes: { pmin: 10, gt: 8.5, con: true, edge: false },
    });
  });

  it("says at which field something is wrong", () => {
    const wrong = (texts: Record<string, string>) => {
      const parsed = parse(texts, ATTRIBUTES);
      return "wrong" in parsed ? Object.keys(parsed.wrong) : [];
    };
    expect(wrong({ pmin: "soon" })).toEqual(["pmin"]);
    expect(wrong({ pmin: "-1" })).toEqual(["pmin"]);
    expect(wrong({ pmin: "1.5" })).toEqual(["pmin"]);
    expect(wrong({ pmin: "60", pmax: "10" })).toEqual(["pmax"]);
    expect(wrong({ lt: "4", gt: "5", st: "0.5" })).toEqual(["gt"]);
    expect(wrong({ lt: "4", gt: "5", st: "0.4" })).toEqual([]);
    expect(wrong({ st: "0" })).toEqual(["st"]);
    expect(wrong({ epmin: "10", epmax: "10" })).toEqual(["epmax"]);
  });

  it("begins with what is set", () => {
    expect(textsOf({ pmin: "60", edge: "1", dim: "3" })).toEqual({ pmin: "60", edge: "1" });
    expect(textsOf({ gt: 8, con: false })).toEqual({ gt: "8", con: "0" });
  });

  it("is sent as what changed", () => {
    expect(difference({ pmin: 10, gt: 8 }, { pmin: 10, pmax: 60 })).toEqual({ pmax: 60, gt: null });
    expect(difference({ pmin: 10 }, { pmin: 10 })).toEqual({});
  });
});

it("tells what is inherited, and from where; what lies nearer holds", () => {
  const found = {
    "/3303": { pmin: "10", pmax: "60" },
    "/3303/0": { pmax: "30" },
    "/3303/0/5700": { gt: "8", dim: "2" },
  };

  expect(setFor("/3303/0/5700", found).map(({ attribute, value, from }) => [attribute.name, value, from])).toEqual([
    ["pmax", "30", "/3303/0"],
    ["pmin", "10", "/3303"],
    ["gt", "8", "/3303/0/5700"],
  ]);
});
