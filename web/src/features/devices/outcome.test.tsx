import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import type { Shown } from "../../api/client";
import { Outcome } from "./outcome";
import { TreeContext } from "./tree";
import type { Shape } from "./value";

afterEach(cleanup);

const PATH = "/49000/0/3";
/** What the page thought of a value that was kept before readings told their kind. */
const TEXT: Shape = { type: "string", range: "", units: "" };

const done = (value: unknown, type: string): Shown["Outcome"] => ({
  state: "done",
  path: PATH,
  value,
  type,
  at: null,
  source: "device",
  trip_ms: null,
  command: null,
});

const woke = (value: unknown, type: string): Shown["Outcome"] => ({
  ...done(null, ""),
  state: "waiting",
  command: {
    id: "cmd-1",
    operation: "read",
    path: PATH,
    paths: [],
    state: "answered",
    by: "",
    code: "",
    detail: "",
    value,
    type,
    expires_at: null,
    expected_at: null,
  },
});

function show(outcome: Shown["Outcome"], shape: Shape) {
  const queries = new QueryClient({
    defaultOptions: { queries: { retry: false, staleTime: Number.POSITIVE_INFINITY } },
  });
  render(
    <QueryClientProvider client={queries}>
      <TreeContext value={{ device: "dev-1", name: "feeder", canAct: true, objects: [], found: {} }}>
        <Outcome outcome={outcome} asked={{ operation: "read", path: PATH }} shape={shape} onGone={() => {}} />
      </TreeContext>
    </QueryClientProvider>,
  );
}

const save = () => screen.queryByRole("button", { name: /Save/ });

it.each([
  ["at once", done],
  ["when it woke", woke],
])("bytes that a device told %s are bytes, whatever was thought before", (_, answer) => {
  show(answer("AAEC", "opaque"), TEXT);

  expect(screen.getByText(/3 B: 00 01 02/)).toBeTruthy();
  expect(save()).toBeTruthy();
});

it("an object link is one", () => {
  show(done("3303:0", "objlnk"), TEXT);

  expect(screen.getByText(/\/3303\/0, from feeder/)).toBeTruthy();
  expect(save()).toBeNull();
});

it("what tells no type is of the type that is known", () => {
  show(done("AAEC", ""), { ...TEXT, type: "opaque" });

  expect(screen.getByText(/3 B: 00 01 02/)).toBeTruthy();
});
