/** Whether what is on the screen can still be believed. Whoever draws a status asks here first. */
import { createContext, useContext } from "react";

export type Freshness = {
  /** The stream is down or monitoring is delayed: statuses lose their colour. */
  isStale: boolean;
  /** The time of what is shown, when it is stale. */
  dataFrom: Date | null;
};

export const FreshnessContext = createContext<Freshness>({ isStale: false, dataFrom: null });

export function useFreshness(): Freshness {
  return useContext(FreshnessContext);
}
