/** Text to take along: a button that says when it is in the clipboard, and what to do where there is none. */
import { useState } from "react";
import { Button } from "./button";

export function CopyButton({ text, children }: { text: string; children: string }) {
  const [outcome, setOutcome] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome("Copied.");
    } catch {
      // No clipboard without TLS, or the browser was told so.
      setOutcome("The browser does not let us copy: mark the text, and copy it by hand.");
    }
  };
  return (
    <>
      <Button onClick={() => void copy()}>{children}</Button>
      <span role="status">{outcome}</span>
    </>
  );
}
