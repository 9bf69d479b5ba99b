import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import type { Shown } from "../../api/client";
import { Waiting } from "./device-state";

afterEach(cleanup);

function said(more: Partial<Shown["CommandShown"]>): string | null {
  const command = {
    id: "cmd-1",
    operation: "read",
    path: "/",
    paths: [],
    state: "queued",
    by: "Kari Moe",
    code: "",
    detail: "",
    value: null,
    type: "",
    expires_at: null,
    expected_at: null,
    ...more,
  };
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ul>
        <Waiting command={command} device="dev-1" />
      </ul>
    </QueryClientProvider>,
  );
  return screen.getByText(/by Kari Moe/).textContent;
}

it("a command that waits says what is written where", () => {
  expect(said({ operation: "write_partial", path: "/1/0/3", value: 600 })).toBe("write /1/0/3 = 600 by Kari Moe");
});

it("a composite that waits names its paths, and not all when they are many", () => {
  const paths = ["/3/0/9", "/3303/0/5700", "/4/0/2", "/4/0/4", "/5/0/3"];

  expect(said({ operation: "read_composite", paths })).toBe(
    "read at once /3/0/9, /3303/0/5700, /4/0/2 and 2 more paths by Kari Moe",
  );
});

it("a composite that waits says what is written at each path", () => {
  const value = { "/3/0/14": "+01", "/1/0/3": 600 };

  expect(said({ operation: "write_composite", paths: Object.keys(value), value })).toBe(
    "write at once /3/0/14 = +01, /1/0/3 = 600 by Kari Moe",
  );
});
