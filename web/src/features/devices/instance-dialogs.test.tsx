import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { CreateDialog, DeleteDialog } from "./instance-dialogs";
import { filtered } from "./objects-tab";
import { type Resource, TreeContext, type TreeObject } from "./tree";

afterEach(cleanup);

const resource = (instance: number, number: number, name: string): Resource => ({
  path: `/3303/${instance}/${number}`,
  name,
  type: "float",
  is_readable: true,
  is_writable: false,
  is_executable: false,
  is_multiple: false,
  is_mandatory: false,
  units: "",
  range: "",
  value: 8.5,
  is_cut: false,
  at: null,
  has_own_clock: false,
  is_observed: false,
});

const temperature: TreeObject = {
  path: "/3303",
  name: "Temperature",
  urn: "urn:oma:lwm2m:ext:3303",
  version: "",
  is_known: true,
  can_create: true,
  can_delete: true,
  fields: [],
  instances: [
    { path: "/3303/0", resources: [resource(0, 5700, "Sensor Value"), resource(0, 5601, "Lowest")] },
    { path: "/3303/1", resources: [resource(1, 5700, "Sensor Value")] },
  ],
};

function show(dialog: ReactNode) {
  const tree = { device: "dev-1", name: "oxy", canAct: true, objects: [temperature], found: {} };
  render(<TreeContext value={tree}>{dialog}</TreeContext>);
}

const [part = temperature] = filtered([temperature], "lowest");

it("a deletion counts all that is lost, also what the filter hides", () => {
  const [instance] = part.instances;
  if (!instance) throw new Error("the filter shows one");
  expect(instance.resources).toHaveLength(1);
  show(<DeleteDialog object={part} instance={instance} onSend={vi.fn()} onClose={vi.fn()} />);

  expect(screen.getByText(/oxy loses its 2 values there/)).toBeTruthy();
  expect(screen.getByText("Sensor Value, Lowest")).toBeTruthy();
});

it("a number that is taken is refused, also when the filter hides whose it is", () => {
  const onSend = vi.fn();
  expect(part.instances.map(({ path }) => path)).toEqual(["/3303/0"]);
  show(<CreateDialog object={part} onSend={onSend} onClose={vi.fn()} />);
  fireEvent.change(screen.getByLabelText(/^Number/), { target: { value: "1" } });
  fireEvent.click(screen.getByRole("button", { name: "Make it on oxy" }));

  expect(screen.getByRole("alert").textContent).toBe("There is one of this number.");
  expect(onSend).not.toHaveBeenCalled();
});

it("of an object that nobody defined it promises no more than there is", () => {
  show(
    <CreateDialog object={{ ...temperature, path: "/32009", is_known: false }} onSend={vi.fn()} onClose={vi.fn()} />,
  );

  expect(screen.getByText(/its values can be read here, and written once Shoal is given its definition/)).toBeTruthy();
});
