/** A certificate or a signature: pasted as text, or chosen as a file. */
import { type ChangeEvent, useState } from "react";
import { AreaField } from "../../ui/field";
import { FILE_BYTES_MAX, textOf } from "./pem";
import css from "./trust.module.css";

export function PemField({
  label,
  hint,
  value,
  accept,
  onValue,
}: {
  label: string;
  hint: string;
  value: string;
  accept: string;
  onValue: (value: string) => void;
}) {
  const [wrong, setWrong] = useState<string | null>(null);
  const choose = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) return;
    const isTooLong = file.size > FILE_BYTES_MAX;
    setWrong(isTooLong ? `${file.name} is too large for a certificate. Choose the file with one certificate.` : null);
    if (!isTooLong) onValue(textOf(new Uint8Array(await file.arrayBuffer())));
  };
  return (
    <div className={css.pem}>
      <AreaField
        label={label}
        hint={hint}
        wrong={wrong}
        rows={5}
        value={value}
        spellCheck={false}
        autoComplete="off"
        className="mono"
        onChange={(event) => {
          setWrong(null);
          onValue(event.target.value);
        }}
      />
      <label className={css.file}>
        Choose a file<span className="sr">: {label}</span>
        <input type="file" accept={accept} className="sr" onChange={(event) => void choose(event)} />
      </label>
    </div>
  );
}
