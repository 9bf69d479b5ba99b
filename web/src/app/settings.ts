/** What a person chose for this browser: theme, and whether single keys do things (WCAG 2.2, 2.1.4). */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const listeners = new Set<() => void>();

function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage may be closed to us; the choice then lasts as long as the page.
  }
  for (const each of listeners) each();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const value = useSyncExternalStore(subscribe, () => stored("theme"));
  const theme: Theme = value === "light" || value === "dark" ? value : "system";
  return [
    theme,
    (chosen) => {
      if (chosen === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = chosen;
      store("theme", chosen);
    },
  ];
}

export function useKeysOn(): [boolean, (isOn: boolean) => void] {
  const isOn = useSyncExternalStore(subscribe, () => stored("keys") !== "off");
  return [isOn, (chosen) => store("keys", chosen ? "on" : "off")];
}
