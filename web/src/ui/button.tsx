/** Something to press. A button that may not be pressed stays, and says why. */
import type { ButtonHTMLAttributes } from "react";
import { useId } from "react";
import css from "./button.module.css";

type Props = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> & {
  look?: "normal" | "primary" | "danger" | "quiet" | "mini";
  isBusy?: boolean;
  /** Why it cannot be pressed now; shown beside it, and read out. */
  blockedBy?: string | null;
};

export function Button({ look = "normal", isBusy = false, blockedBy = null, className, onClick, ...rest }: Props) {
  const reason = useId();
  const isBlocked = blockedBy !== null;
  return (
    <>
      <button
        type="button"
        {...rest}
        className={[css.button, css[look], className].filter(Boolean).join(" ")}
        aria-disabled={isBlocked || isBusy || undefined}
        aria-describedby={isBlocked ? reason : undefined}
        aria-busy={isBusy || undefined}
        title={blockedBy ?? rest.title}
        onClick={isBlocked || isBusy ? (event) => event.preventDefault() : onClick}
      />
      {isBlocked && (
        <span id={reason} className="sr">
          {blockedBy}
        </span>
      )}
    </>
  );
}

export const buttonClass = (look: NonNullable<Props["look"]> = "normal") =>
  [css.button, css[look]].filter(Boolean).join(" ");
