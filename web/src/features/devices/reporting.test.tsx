import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { keepFound } from "../../api/actions";
import { client } from "../../api/client";
import { ReportingDialog } from "./reporting";
import { TreeContext } from "./tree";

const PATH = "/3303/0/5700";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

/** The dialog of a path that nobody observes, what it asked for, and how the device tells what is set. */
function open() {
  const post = vi.spyOn(client, "POST");
  const outcome = { state: "done", path: PATH, value: null, at: null, source: "device", trip_ms: null, command: null };
  post.mockResolvedValue({ data: outcome, response: new Response() } as never);
  const onClose = vi.fn();
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={queries}>
      <TreeContext value={{ device: "dev-1", name: "oxy", canAct: true, objects: [], found: {} }}>
        <ReportingDialog
          about={{ path: PATH, name: "Temperature", type: "float", units: "" }}
          observation={undefined}
          onClose={onClose}
        />
      </TreeContext>
    </QueryClientProvider>,
  );
  const tells = async (attributes: Record<string, string>) => {
    keepFound(queries, "dev-1", { "/3303": {}, [PATH]: attributes });
    const section = screen.getByRole("region", { name: "Set on the device" });
    await waitFor(() => expect(within(section).getAllByRole("listitem")).toHaveLength(2));
  };
  const field = (name: string) => screen.getByLabelText<HTMLInputElement>(new RegExp(`^${name}`));
  const save = () => fireEvent.click(screen.getByRole("button", { name: "Save" }));
  return { post, onClose, tells, field, save };
}

it("a form that nobody touched shows what the device told, and saves nothing", async () => {
  const { post, onClose, tells, field, save } = open();
  await tells({ pmin: "10", pmax: "600" });

  expect(field("At least every").value).toBe("600");
  save();

  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(post).not.toHaveBeenCalled();
});

it("what the device told after somebody began to type is not taken back", async () => {
  const { post, tells, field, save } = open();
  fireEvent.change(field("At most every"), { target: { value: "30" } });
  await tells({ pmin: "10", pmax: "600" });
  save();

  await waitFor(() => expect(post).toHaveBeenCalledTimes(1));
  expect(post.mock.calls[0]?.[1]).toHaveProperty("body", { path: PATH, attributes: { pmin: 30 } });
});

it("what the form showed and somebody cleared is taken back", async () => {
  const { post, tells, field, save } = open();
  await tells({ pmin: "10", pmax: "600" });
  fireEvent.change(field("At least every"), { target: { value: "" } });
  save();

  await waitFor(() => expect(post).toHaveBeenCalledTimes(1));
  expect(post.mock.calls[0]?.[1]).toHaveProperty("body", { path: PATH, attributes: { pmax: null } });
});
