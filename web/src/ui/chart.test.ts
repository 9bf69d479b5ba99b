import { expect, it } from "vitest";
import { room, summary, table, tickText } from "./chart";

const point = (at: string, mean: number) => ({ at, mean, min: mean - 1, max: mean + 1, count: 3 });

it("puts a hole into the line where readings are missing, and none after the last", () => {
  const points = [point("2026-11-21T10:00:00Z", 8), point("2026-11-21T12:00:00Z", 9)];
  const gaps = [
    { begins_at: "2026-11-21T10:00:00Z", ends_at: "2026-11-21T12:00:00Z", is_open: false },
    { begins_at: "2026-11-21T12:00:00Z", ends_at: "2026-11-21T13:00:00Z", is_open: true },
  ];

  const { data, points: rows } = table(points, gaps);

  expect(data[1]).toEqual([8, null, 9]);
  expect(rows.map((row) => row?.mean ?? null)).toEqual([8, null, 9]);
});

it("gives a steady value a line in the middle, and not a mountain range", () => {
  const [low, high] = room(8.4, 8.4);

  expect(high - low).toBeGreaterThan(0.1);
  expect(low).toBeLessThan(8.4);
  expect(high).toBeGreaterThan(8.4);
});

it("scales to what was measured, with a little air and never cut", () => {
  const [low, high] = room(2, 12);

  expect(low).toBeCloseTo(0.8);
  expect(high).toBeCloseTo(13.2);
  expect(room(null, null)).toEqual([0, 1]);
});

it("names hours within two days and days beyond", () => {
  const at = new Date(2026, 10, 21, 14, 0).getTime() / 1000;

  expect(tickText(at, 86_400)).toBe("14:00");
  expect(tickText(at, 7 * 86_400)).toBe("21 Nov");
});

it("says in a sentence what the line shows, for those who cannot see it", () => {
  const begins = "2026-11-21T10:00:00Z";
  const shared = { name: "Dissolved oxygen", unit: "mg/L", beginsAt: begins, endsAt: begins, height: 100 };

  expect(summary({ ...shared, points: [], gaps: [] })).toBe("Dissolved oxygen: no readings");
  expect(
    summary({
      ...shared,
      points: [point(begins, 8)],
      gaps: [{ begins_at: begins, ends_at: "2026-11-21T12:00:00Z", is_open: true }],
    }),
  ).toMatch(/^Dissolved oxygen, between 7\u202fmg\/L and 9\u202fmg\/L, last 8\u202fmg\/L; no readings since \d\d:00$/);
});
