import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Button } from "./button";
import { FreshnessContext } from "./freshness";
import { Failed, Skeleton } from "./notice";
import { StatusMark } from "./status";
import { isTold } from "./told";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

it("shows no bones before a third of a second, but says at once what loads", () => {
  const { container } = render(<Skeleton rows={3} label="Loading devices" />);

  expect(screen.getByRole("status", { name: "Loading devices" })).toBeTruthy();
  expect(container.querySelectorAll("span")).toHaveLength(0);
  act(() => vi.advanceTimersByTime(301));

  expect(container.querySelectorAll("span")).toHaveLength(3);
});

it("a part that failed says what, why and from when the old data is, and can be asked again", () => {
  const again = vi.fn();
  render(<Failed what="Alerts could not be loaded" why="(no connection to Shoal)." dataFrom="14:02" onRetry={again} />);

  expect(screen.getByRole("alert").textContent).toContain(
    "Alerts could not be loaded (no connection to Shoal). What you see is from 14:02.",
  );
  screen.getByRole("button", { name: "Try again" }).click();

  expect(again).toHaveBeenCalledTimes(1);
});

it("a status is a shape and a word, and grey when we cannot know", () => {
  const { rerender } = render(<StatusMark status="healthy" isAsleep />);
  expect(document.querySelector("[data-health=asleep]")?.textContent).toBe("Asleep");

  rerender(
    <FreshnessContext value={{ isStale: true, dataFrom: null }}>
      <StatusMark status="healthy" isAsleep />
    </FreshnessContext>,
  );

  expect(document.querySelector("[data-health=stale]")?.textContent).toBe("Asleep when last known");
});

it("a silent device that is asleep by its flag is silent all the same", () => {
  render(<StatusMark status="silent" isAsleep />);

  expect(document.querySelector("[data-health=silent]")?.textContent).toBe("Silent");
});

it("a button that may not be pressed stays in the order of focus and says why", () => {
  const pressed = vi.fn();
  render(
    <Button blockedBy="Viewers may look, but not change anything." onClick={pressed}>
      Acknowledge
    </Button>,
  );
  const button = screen.getByRole("button", { name: "Acknowledge" });

  button.click();
  button.focus();

  expect(pressed).not.toHaveBeenCalled();
  expect(document.activeElement).toBe(button);
  expect(document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent).toMatch(
    /Viewers may look/,
  );
});

it("who is told next is said as people say it", () => {
  expect(isTold({ to: "Jon Aas", channel: "call" })).toBe("Jon Aas is called");
  expect(isTold({ to: "Kari Moe", channel: "sms" })).toBe("Kari Moe gets an SMS");
  expect(isTold({ to: "", channel: "push" })).toBe("Somebody is told by push");
});
