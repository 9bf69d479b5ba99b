import { expect, it } from "vitest";
import { table } from "./chart";

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
