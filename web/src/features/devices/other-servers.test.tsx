import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import type { Shown } from "../../api/client";
import { OtherServers } from "./other-servers";

afterEach(cleanup);

const OTHERS: Shown["OtherServers"] = {
  own: 101,
  servers: [102],
  is_ruled: true,
  is_settled: true,
  problem: "",
  is_drift: false,
  controls: [],
};

function shown(more: Partial<Shown["OtherServers"]>): string {
  render(<OtherServers others={{ ...OTHERS, ...more }} />);
  return screen.getByRole("region", { name: "Other servers" }).textContent ?? "";
}

it("a device with one server says nothing of others", () => {
  render(<OtherServers others={null} />);

  expect(screen.queryByRole("region")).toBeNull();
});

it("what a device refused stands beside what was wanted, with the reason", () => {
  const rights = [{ server: "102", wanted: ["read", "execute"], found: ["read"] }];
  const control = { path: "/3/0", state: "refused", is_drift: true, reason: "The device refused it: 4.05", rights };

  const text = shown({ is_drift: true, controls: [control] });

  expect(text).toContain("It also has server 102. It knows this Shoal as server 101.");
  expect(text).toContain("server 102: read; wanted: read, execute");
  expect(text).toContain("The device refused it: 4.05.");
});

it("where no policy speaks of other servers, what bootstrap granted is no difference", () => {
  const rights = [{ server: "*", wanted: [], found: ["read"] }];
  const control = { path: "/3303", state: "left", is_drift: false, reason: "", rights };

  const text = shown({ is_ruled: false, controls: [control] });

  expect(text).toContain("all is as bootstrap left it");
  expect(text).toContain("/3303, newall others: read");
  expect(text).not.toContain("wanted");
});

it("a device that hides its servers is said to, and why nothing can be told", () => {
  const text = shown({ own: null, servers: [], problem: "Which of its servers we are is not known" });

  expect(text).toContain("does not show which");
  expect(text).toContain("Which of its servers we are is not known.");
});
