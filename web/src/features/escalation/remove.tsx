/** The question before something is deleted, and what came of it. */
import { useState } from "react";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { Wrong } from "../../ui/notice";
import { refusal } from "./said";

export function Remove({
  what,
  says,
  blockedBy,
  removal,
  onRemove,
  look = "danger",
}: {
  what: string;
  says: string;
  blockedBy: string | null;
  removal: { isError: boolean; isPending: boolean; error: unknown; reset: () => void };
  onRemove: (done: () => void) => void;
  look?: "danger" | "quiet";
}) {
  const [isAsked, setAsked] = useState(false);
  const close = () => {
    setAsked(false);
    removal.reset();
  };
  return (
    <>
      <Button look={look} blockedBy={blockedBy} aria-label={`Delete ${what}`} onClick={() => setAsked(true)}>
        Delete
      </Button>
      {isAsked && (
        <Dialog title={`Delete ${what}?`} onClose={close}>
          <p className="muted">{says}</p>
          {removal.isError && <Wrong>{refusal(removal.error, "Not deleted")}</Wrong>}
          <DialogActions>
            <Button onClick={close}>Leave it</Button>
            <Button look="danger" isBusy={removal.isPending} onClick={() => onRemove(close)}>
              Delete {what}
            </Button>
          </DialogActions>
        </Dialog>
      )}
    </>
  );
}
