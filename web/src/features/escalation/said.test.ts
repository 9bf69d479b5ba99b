import { expect, it } from "vitest";
import { Problem } from "../../api/client";
import { after, frames, how, minutesOf, refusal, repeats, secondsOf, severities } from "./said";

const NARROW = "\u202f";

it("a step says when it comes and how people are reached", () => {
  expect([after(0), after(300)]).toEqual(["At once", `After 5${NARROW}min`]);
  expect(how([], false)).toBe("by their first way that works");
  expect(how(["email", "webhook"], false)).toBe("by mail, then webhook first");
  expect(how(["email"], true)).toBe("by all their ways at once");
});

it("what a policy leaves out follows the severity", () => {
  expect(frames({ acknowledge_s: null, resolve_s: null })).toBe("Time frames follow the severity");
  expect(frames({ acknowledge_s: null, resolve_s: 3600 })).toBe(`Resolve within 1${NARROW}h`);
  expect(severities([])).toBe("All severities");
  expect(severities(["critical", "high"])).toBe("Critical, high");
});

it("after the last step come the rounds, and then everybody", () => {
  expect(repeats({ repeat: 0, repeat_every_s: null }, false)).toBe("then everybody");
  expect(repeats({ repeat: 0, repeat_every_s: null }, true)).toBe("everybody was told");
  expect(repeats({ repeat: 1, repeat_every_s: null }, true)).toBe("1 more round");
  expect(repeats({ repeat: 2, repeat_every_s: 1800 }, false)).toBe(
    `2 more rounds, one every 30${NARROW}min, then everybody`,
  );
});

it("minutes are what people type, and what is none is told from nothing", () => {
  expect([secondsOf("5"), secondsOf(" 2,5 "), secondsOf("")]).toEqual([300, 150, null]);
  expect(["soon", "-1", "1e9", "5 min"].map(secondsOf)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
  expect([minutesOf(null), minutesOf(90)]).toEqual(["", "1.5"]);
});

it("a refusal names the step as the page counts it", () => {
  const problem = (type: string, title: string) => new Problem(400, type, title, "", "");
  const nobody = problem("invalid", "steps.1.contacts: ends in nobody: name a contact, or everybody");
  expect(refusal(nobody)).toBe("Not saved. Step 2 ends in nobody: name a contact, or everybody.");
  expect(refusal(problem("outdated", "pol-1: changed"))).toContain("somebody changed it since you opened it");
  expect(refusal(problem("conflict", "chn-1: Kari is reached by it"), "Not deleted")).toBe(
    "Not deleted (chn-1: Kari is reached by it).",
  );
});
