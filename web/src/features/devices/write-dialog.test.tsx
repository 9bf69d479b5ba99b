import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { type Resource, TreeContext, type TreeObject } from "./tree";
import { WriteDialog, withType } from "./write-dialog";

afterEach(cleanup);

const unknown: Resource = {
  path: "/49000/0/3",
  name: "Resource 3",
  type: "string",
  is_readable: true,
  is_writable: true,
  is_executable: false,
  is_multiple: false,
  is_mandatory: false,
  units: "",
  range: "",
  value: "AQI=",
  is_cut: false,
  at: null,
  has_own_clock: false,
  is_observed: false,
};

const object = (is_known: boolean): TreeObject => ({
  path: "/49000",
  name: "Object 49000",
  urn: "urn:oma:lwm2m:x:49000",
  version: "",
  is_known,
  can_create: true,
  can_delete: true,
  fields: [],
  instances: [{ path: "/49000/0", resources: [unknown] }],
});

function show(is_known: boolean) {
  const onSend = vi.fn();
  const tree = { device: "dev-1", name: "oxy", canAct: true, objects: [object(is_known)], found: {} };
  render(
    <TreeContext value={tree}>
      <WriteDialog resource={unknown} onSend={onSend} onClose={vi.fn()} />
    </TreeContext>,
  );
  return onSend;
}

it("what nobody defined is written as the type that somebody says", () => {
  const onSend = show(false);
  fireEvent.change(screen.getByLabelText("Type"), { target: { value: "opaque" } });
  fireEvent.change(screen.getByLabelText("Resource 3"), { target: { value: "01 02 ff" } });
  fireEvent.click(screen.getByRole("button", { name: "Write to oxy" }));

  expect(onSend).toHaveBeenCalledWith({ operation: "write", path: "/49000/0/3", value: { opaque: "AQL/" } });
});

it("what is defined has its type", () => {
  const onSend = show(true);
  expect(screen.queryByLabelText("Type")).toBeNull();
  fireEvent.change(screen.getByLabelText("Resource 3"), { target: { value: "deck" } });
  fireEvent.click(screen.getByRole("button", { name: "Write to oxy" }));

  expect(onSend).toHaveBeenCalledWith({ operation: "write", path: "/49000/0/3", value: "deck" });
});

it("each of several values says its type", () => {
  const asked = { operation: "write", path: "/49000/0/3", values: { "0": 1, "2": "18446744073709551615" } } as const;
  expect(withType({ ...asked, partial: true }, "unsigned")).toEqual({
    ...asked,
    partial: true,
    values: { "0": { "unsigned integer": 1 }, "2": { "unsigned integer": "18446744073709551615" } },
  });
});
