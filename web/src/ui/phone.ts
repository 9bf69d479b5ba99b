/** Whether this is a phone's width, as the style sheets have it. */
import { useSyncExternalStore } from "react";

const QUERY = "(max-width: 639px)";

export function usePhone(): boolean {
  return useSyncExternalStore(subscribe, () => matchMedia(QUERY).matches);
}

function subscribe(listener: () => void): () => void {
  const media = matchMedia(QUERY);
  media.addEventListener("change", listener);
  return () => media.removeEventListener("change", listener);
}
