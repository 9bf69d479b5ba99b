import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { client } from "../../api/client";
import { ResourceRow } from "./resource-row";
import { type Resource, TreeContext } from "./tree";
import { toBase64 } from "./value";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const BYTES = toBase64(new Uint8Array(750));
const WHOLE = toBase64(new Uint8Array(900));

const recipe = (more: Partial<Resource>): Resource => ({
  path: "/32001/0/4",
  name: "Recipe",
  type: "opaque",
  is_readable: true,
  is_writable: true,
  is_executable: false,
  is_multiple: false,
  is_mandatory: false,
  units: "",
  range: "",
  value: BYTES,
  is_cut: true,
  at: null,
  has_own_clock: false,
  is_observed: false,
  ...more,
});

function show(resource: Resource) {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={queries}>
      <TreeContext value={{ device: "dev-1", name: "feeder", canAct: true, objects: [], found: {} }}>
        <ul>
          <ResourceRow resource={resource} observation={undefined} />
        </ul>
      </TreeContext>
    </QueryClientProvider>,
  );
}

function answers(value: unknown) {
  const outcome = {
    state: "done",
    path: "/32001/0/4",
    value,
    at: null,
    source: "device",
    trip_ms: null,
    command: null,
  };
  const post = vi.spyOn(client, "POST");
  post.mockResolvedValue({ data: outcome, response: new Response() } as never);
  return post;
}

/** The simulated browser leaves out the space between what is seen and what is only read out. */
const named = (name: string) => new RegExp(`^${name.replaceAll(" ", "\\s*")}$`);
const button = (name: string) => screen.getByRole("button", { name: named(name) });

it("a whole value is counted, saved, and what a write begins with", () => {
  show(recipe({ is_cut: false, value: toBase64(new Uint8Array([1, 2])) }));

  expect(screen.getByText(/2 B: 01 02/)).toBeTruthy();
  expect(button("Save Recipe as a file")).toBeTruthy();
  fireEvent.click(button("Write Recipe"));
  expect(screen.getByLabelText(/^Recipe/)).toHaveProperty("value", "01 02");
});

it("a cut value says so, is not saved, and read whole from the device", async () => {
  answers(WHOLE);
  show(recipe({}));

  expect(screen.getByText(/^beginning of the bytes: 00 .* … \(cut\)$/)).toBeTruthy();
  expect(screen.queryByRole("button", { name: named("Save Recipe as a file") })).toBeNull();
  fireEvent.click(button("Read the whole of Recipe"));

  expect(await screen.findByText(/900 B: 00/)).toBeTruthy();
  expect(button("Save what was read of /32001/0/4 as a file")).toBeTruthy();
});

it("a cut text says so", () => {
  show(recipe({ type: "string", value: "a".repeat(1_000) }));

  expect(screen.getByText(/^beginning of the text: a{1000} … \(cut\)$/)).toBeTruthy();
});

it("a write of a cut value begins with what the device says, or with nothing", async () => {
  const post = answers(WHOLE);
  show(recipe({}));

  fireEvent.click(button("Write Recipe"));
  expect(screen.queryByLabelText(/^Recipe/)).toBeNull();
  fireEvent.click(button("Read it from feeder"));
  expect(await screen.findByLabelText(/^Recipe/)).toHaveProperty("value", Array(900).fill("00").join(" "));
  fireEvent.click(button("Leave it"));
  fireEvent.click(button("Write Recipe"));
  fireEvent.click(button("Begin with nothing"));

  expect(screen.getByLabelText(/^Recipe/)).toHaveProperty("value", "");
  expect(post).toHaveBeenCalledTimes(1);
});

it("of several values no cut one is written back", async () => {
  answers({ "0": WHOLE });
  show(recipe({ is_multiple: true, value: { "0": BYTES } }));

  expect(screen.getByText(/only the beginning of what is long \(cut\)/)).toBeTruthy();
  fireEvent.click(button("Write Recipe"));
  expect(screen.queryByRole("button", { name: "Begin with nothing" })).toBeNull();
  fireEvent.click(button("Read it from feeder"));

  expect(await screen.findByLabelText(/^Recipe 0/)).toHaveProperty("value", Array(900).fill("00").join(" "));
});
