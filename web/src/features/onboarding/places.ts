/** Where a device can hang. */
import type { Shown } from "../../api/client";

export type Farms = Shown["FarmPlaces"][];

/** "Pen 4, Storholmen"; null for what is none of ours. */
export function placeOf(farms: Farms, enclosure: string | undefined): string | null {
  for (const farm of farms) {
    const found = farm.enclosures.find((each) => each.id === enclosure);
    if (found) return `${found.name}, ${farm.name}`;
  }
  return null;
}
