/** A field that fits the type of a value, with what it may be beneath. */
import { type ChangeEvent, useState } from "react";
import { AreaField, SelectField, TextField } from "../../ui/field";
import { bytes, unitWord } from "../../ui/words";
import css from "./objects.module.css";
import { type TreeObject, useTree } from "./tree";
import { choices, fromHex, linkText, NO_LINK, parseLinks, type Shape, toHex, typeWord } from "./value";

/** The largest value of one write: what the API takes. */
const FILE_BYTES_MAX = 64 * 1024;

type Props = {
  label: string;
  shape: Shape;
  text: string;
  onText: (text: string) => void;
  wrong?: string | null;
  autoFocus?: boolean;
  /** May stay empty, and is then left out. */
  isOptional?: boolean;
};

export function ValueField({ label, shape, text, onText, wrong = null, autoFocus = false, isOptional = false }: Props) {
  const { objects } = useTree();
  const listed = choices(shape) ?? choicesOf(shape.type, objects);
  const shared = { label, wrong, autoFocus, hint: hintOf(shape) };
  if (listed) {
    const isOther = text !== "" && !listed.some((each) => each.value === text);
    return (
      <SelectField {...shared} value={text} onChange={(event) => onText(event.target.value)}>
        {(isOptional || text === "") && <option value="">{isOptional ? "leave out" : "choose"}</option>}
        {isOther && <option value={text}>{text}</option>}
        {listed.map((each) => (
          <option key={each.value} value={each.value}>
            {each.label === each.value || !isNumber(shape.type) ? each.label : `${each.label} (${each.value})`}
          </option>
        ))}
      </SelectField>
    );
  }
  const onChange = (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => onText(event.target.value);
  switch (shape.type) {
    case "opaque":
      return <OpaqueField {...shared} text={text} onText={onText} />;
    case "corelnk":
      return <LinksField {...shared} text={text} onText={onText} />;
    case "time": {
      const at = new Date(text);
      const utc = text === "" || Number.isNaN(at.getTime()) ? null : `${at.toISOString().slice(0, 19)} UTC`;
      return <TextField {...shared} hint={utc} type="datetime-local" step={1} value={text} onChange={onChange} />;
    }
    default:
      return (
        <TextField
          {...shared}
          value={text}
          onChange={onChange}
          autoComplete="off"
          inputMode={shape.type === "float" ? "decimal" : isWhole(shape.type) ? signedMode(shape) : undefined}
        />
      );
  }
}

function isNumber(type: string): boolean {
  return isWhole(type) || type === "float";
}

function isWhole(type: string): boolean {
  return type === "integer" || type === "unsigned";
}

/** The digits of a phone's keyboard have no minus sign. */
function signedMode({ type, range }: Shape): "numeric" | "text" {
  return type === "unsigned" || /^\s*\d/.test(range) ? "numeric" : "text";
}

function hintOf({ type, range, units }: Shape): string {
  return [typeWord(type), units && `in ${unitWord(units)}`, range && `range ${range}`].filter(Boolean).join(", ");
}

function choicesOf(type: string, objects: TreeObject[]) {
  if (type === "boolean") {
    return [
      { value: "true", label: "yes" },
      { value: "false", label: "no" },
    ];
  }
  if (type !== "objlnk") return null;
  const instances = objects.flatMap((object) =>
    object.instances.map(({ path }) => ({ value: path.slice(1).replace("/", ":"), label: `${object.name} ${path}` })),
  );
  return [{ value: NO_LINK, label: "none" }, ...instances];
}

type Plain = { label: string; hint: string; wrong: string | null; autoFocus: boolean };
type Text = { text: string; onText: (text: string) => void };

function OpaqueField({ text, onText, wrong, ...shared }: Plain & Text) {
  const [tooLarge, setTooLarge] = useState<string | null>(null);
  const data = fromHex(text);
  const choose = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    if (!file) return;
    if (file.size > FILE_BYTES_MAX) {
      setTooLarge(`${file.name} has ${bytes(file.size)}; one write takes ${bytes(FILE_BYTES_MAX)}.`);
      return;
    }
    setTooLarge(null);
    onText(toHex(new Uint8Array(await file.arrayBuffer())));
  };
  return (
    <div className={css.wide}>
      <AreaField
        {...shared}
        hint={`${shared.hint}, as pairs of 0 to 9 and a to f; ${data ? bytes(data.length) : "not readable"}`}
        wrong={tooLarge ?? wrong}
        className="mono"
        value={text}
        rows={3}
        spellCheck={false}
        onChange={(event) => {
          setTooLarge(null);
          onText(event.target.value);
        }}
      />
      <label className={css.file}>
        <span>Or the bytes of a file</span>
        <input type="file" onChange={(event) => void choose(event)} />
      </label>
    </div>
  );
}

function LinksField({ text, onText, ...shared }: Plain & Text) {
  const links = parseLinks(text);
  return (
    <div className={css.wide}>
      <AreaField
        {...shared}
        value={text}
        rows={3}
        className="mono"
        spellCheck={false}
        onChange={(event) => onText(event.target.value)}
      />
      {links && links.length > 0 && (
        <ul className={css.links} aria-label="Links">
          {links.map((link) => (
            <li key={`${link.target}${link.attributes}`}>
              <code>{linkText(link)}</code>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
