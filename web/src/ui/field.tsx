/** A labelled field, with what is wrong with it beneath. */
import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import css from "./field.module.css";
import { Icon } from "./icon";

type Shared = { label: string; hint?: ReactNode; wrong?: string | null };

export function TextField({ label, hint, wrong = null, ...rest }: Shared & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  const note = useId();
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      <input
        {...rest}
        id={id}
        className={css.control}
        aria-invalid={wrong !== null || undefined}
        aria-describedby={hint || wrong ? note : undefined}
      />
      <Note id={note} hint={hint} wrong={wrong} />
    </div>
  );
}

export function SelectField({
  label,
  hint,
  wrong = null,
  children,
  ...rest
}: Shared & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  const note = useId();
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      <select {...rest} id={id} className={css.control} aria-describedby={hint || wrong ? note : undefined}>
        {children}
      </select>
      <Note id={note} hint={hint} wrong={wrong} />
    </div>
  );
}

/** A field of several lines. */
export function AreaField({
  label,
  hint,
  wrong = null,
  className,
  ...rest
}: Shared & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId();
  const note = useId();
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      <textarea
        {...rest}
        id={id}
        className={`${css.area} ${className ?? ""}`}
        aria-invalid={wrong !== null || undefined}
        aria-describedby={hint || wrong ? note : undefined}
      />
      <Note id={note} hint={hint} wrong={wrong} />
    </div>
  );
}

/** A choice in a filter row: the label stands inside the frame. */
export function FilterSelect({
  label,
  children,
  ...rest
}: { label: string } & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <label className={css.chip}>
      <span>{label}</span>
      <select {...rest}>{children}</select>
    </label>
  );
}

/** As long as somebody types, nothing is asked. */
const TYPING_MS = 250;

/** What is looked for in a list; told once somebody has stopped typing. */
export function SearchField({
  label,
  value,
  onSettled,
}: {
  label: string;
  value: string;
  onSettled: (value: string) => void;
}) {
  const [text, setText] = useState(value);
  const told = useRef(value);
  useEffect(() => {
    if (value !== told.current) setText(value); // cleared, or another address
    told.current = value;
  }, [value]);
  useEffect(() => {
    if (text === told.current) return;
    const timer = setTimeout(() => {
      told.current = text;
      onSettled(text);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, onSettled]);
  return (
    <label className={css.search}>
      <Icon name="search" />
      <span className="sr">{label}</span>
      <input type="search" placeholder={label} value={text} onChange={(event) => setText(event.target.value)} />
    </label>
  );
}

function Note({ id, hint, wrong }: { id: string; hint: ReactNode; wrong: string | null }) {
  if (wrong) {
    return (
      <p id={id} className={css.wrong} role="alert">
        {wrong}
      </p>
    );
  }
  return hint ? (
    <p id={id} className="small muted">
      {hint}
    </p>
  ) : null;
}
