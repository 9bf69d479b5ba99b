/** Single keys that do things. None while somebody types, all of them can be switched off. */
import { createContext, useContext, useEffect, useRef } from "react";

export const KeysContext = createContext(true);

/** The second key of `g f` must come within this. */
const SEQUENCE_MS = 1_000;

export function useKeys(keys: Record<string, () => void>): void {
  const isOn = useContext(KeysContext);
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    if (!isOn) return;
    let before = "";
    let beforeAt = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
      const isSequence = before !== "" && event.timeStamp - beforeAt < SEQUENCE_MS;
      const action = (isSequence && current.current[`${before} ${event.key}`]) || current.current[event.key];
      before = event.key;
      beforeAt = event.timeStamp;
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [isOn]);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.closest("input, textarea, select, dialog, [contenteditable]") !== null;
}
