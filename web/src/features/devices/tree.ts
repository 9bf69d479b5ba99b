/** The device whose tree is on the screen, for all parts of it. */
import { createContext, useContext } from "react";
import type { Shown } from "../../api/client";
import type { Found } from "../../api/queries";

export type Resource = Shown["ResourceShown"];
export type TreeObject = Shown["ObjectShown"];
export type Observation = Shown["ObservationShown"];

export type Tree = {
  device: string;
  name: string;
  /** Viewers look only. */
  canAct: boolean;
  objects: TreeObject[];
  /** What the device said it has, where it was asked. */
  found: Found;
};

export const TreeContext = createContext<Tree>({ device: "", name: "", canAct: false, objects: [], found: {} });

export function useTree(): Tree {
  return useContext(TreeContext);
}

/** The name of what a path leads to: a resource's, an object's, or none. */
export function nameAt(objects: TreeObject[], path: string): string {
  const parts = path.split("/").slice(1);
  const object = objects.find((each) => each.path === `/${parts[0]}`);
  if (!object || parts.length < 3) return object?.name ?? "";
  const resource = `/${parts.slice(0, 3).join("/")}`;
  for (const instance of object.instances) {
    const found = instance.resources.find((each) => each.path === resource);
    if (found) return found.name;
  }
  return "";
}

/** All of an object that the page may show in part, while it is filtered. */
export function wholeOf(objects: TreeObject[], object: TreeObject): TreeObject {
  return objects.find((each) => each.path === object.path) ?? object;
}

/** Whether the device was asked what an instance has, and did not name this resource. */
export function isMissing(found: Found, path: string): boolean {
  if (found[path] !== undefined) return false;
  const instance = path.split("/").slice(0, 3).join("/");
  return Object.keys(found).some((each) => each.startsWith(`${instance}/`));
}
