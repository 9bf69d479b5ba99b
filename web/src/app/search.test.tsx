import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { client } from "../api/client";
import { Search } from "./search";

vi.mock("@tanstack/react-router", () => ({ useNavigate: () => vi.fn() }));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function open() {
  const get = vi.spyOn(client, "GET");
  get.mockResolvedValue({ data: { groups: [] }, response: new Response() } as never);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Search onClose={() => undefined} />
    </QueryClientProvider>,
  );
  const field = screen.getByRole("combobox");
  const type = (text: string) => fireEvent.change(field, { target: { value: text } });
  const calls = get.mock.calls as unknown as [string, { params: { query: { q: string } } }][];
  const asked = () => calls.map(([, { params }]) => params.query.q);
  return { field, type, asked };
}

it("asks once when the typing pauses, not for each letter", () => {
  const { type, asked } = open();
  for (const text of ["o", "ox", "oxy"]) {
    type(text);
    act(() => vi.advanceTimersByTime(150));
  }
  expect(asked()).toEqual([]);
  act(() => vi.advanceTimersByTime(50));

  expect(asked()).toEqual(["oxy"]);
});

it("asks at once when somebody presses Enter", () => {
  const { field, type, asked } = open();
  type("oxy-0417");
  fireEvent.keyDown(field, { key: "Enter" });

  expect(asked()).toEqual(["oxy-0417"]);
});
