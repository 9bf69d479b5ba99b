/** Making an instance of an object, and deleting one. */
import { type FormEvent, useState } from "react";
import type { Asked } from "../../api/actions";
import type { Shown } from "../../api/client";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { plural } from "../../ui/words";
import css from "./objects.module.css";
import { type TreeObject, useTree, wholeOf } from "./tree";
import { check, type Sent } from "./value";
import { ValueField } from "./value-field";

type Sending = { onSend: (asked: Asked) => void; onClose: () => void };

export function CreateDialog({ object: shown, onSend, onClose }: Sending & { object: TreeObject }) {
  const { name, objects } = useTree();
  const object = wholeOf(objects, shown);
  const [number, setNumber] = useState("");
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const made = read(object, number, texts);
    if ("wrong" in made) setWrong(made.wrong);
    else onSend({ operation: "create", path: object.path, ...made });
  };
  const fields = [...object.fields].sort((one, other) => Number(other.is_mandatory) - Number(one.is_mandatory));
  return (
    <Dialog title={`New ${object.name}`} onClose={onClose}>
      <form onSubmit={submit} className={css.form} noValidate>
        <p className="small muted">
          An instance of <code>{object.path}</code> on {name}. What stays empty is left to the device.
          {!object.is_known &&
            " Nothing defines this object: its values can be read here, and written once Shoal is given its definition."}
        </p>
        <TextField
          label="Number"
          hint="the device chooses one when this is empty"
          inputMode="numeric"
          autoComplete="off"
          value={number}
          wrong={wrong.number ?? null}
          onChange={(event) => setNumber(event.target.value)}
        />
        {fields.map((field) => (
          <ValueField
            key={field.id}
            label={field.is_mandatory ? `${field.name} (every instance has one)` : field.name}
            shape={field}
            text={texts[field.id] ?? ""}
            wrong={wrong[field.id] ?? null}
            isOptional
            onText={(text) => setTexts({ ...texts, [field.id]: text })}
          />
        ))}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit">
            Make it on {name}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

type Made = { instance: number | null; resources: Record<string, Sent | Record<string, Sent>> };

function read(
  object: TreeObject,
  number: string,
  texts: Record<string, string>,
): Made | { wrong: Record<string, string> } {
  const wrong: Record<string, string> = {};
  const resources: Made["resources"] = {};
  const digits = number.trim();
  if (digits !== "" && (!/^\d{1,5}$/.test(digits) || Number(digits) > 65_534))
    wrong.number = "A number from 0 to 65534.";
  if (object.instances.some(({ path }) => path === `${object.path}/${Number(digits || Number.NaN)}`)) {
    wrong.number = "There is one of this number.";
  }
  for (const field of object.fields) {
    const text = texts[field.id] ?? "";
    if (text === "") continue;
    const checked = check(text, field);
    if ("wrong" in checked) wrong[field.id] = checked.wrong;
    else resources[field.id] = field.is_multiple ? { "0": checked.value } : checked.value;
  }
  return Object.keys(wrong).length > 0 ? { wrong } : { instance: digits === "" ? null : Number(digits), resources };
}

type Instance = Shown["InstanceShown"];

export function DeleteDialog({
  object,
  instance: shown,
  onSend,
  onClose,
}: Sending & { object: TreeObject; instance: Instance }) {
  const { name, objects } = useTree();
  const instance = wholeOf(objects, object).instances.find(({ path }) => path === shown.path) ?? shown;
  const known = instance.resources.filter((resource) => resource.value !== null);
  const reported = instance.resources.filter((resource) => resource.is_observed);
  const deed = `Delete ${object.name} ${instance.path}`;
  return (
    <Dialog title={`${deed}?`} onClose={onClose}>
      <p>
        {name} loses {known.length > 0 ? `its ${plural(known.length, "value")} there` : "whatever it holds there"}
        {reported.length > 0 && `, and reports ${reported.map((each) => each.name).join(", ")} no more`}. Nothing brings
        that back; readings that came before stay here.
      </p>
      {known.length > 0 && <p className="small muted">{known.map((each) => each.name).join(", ")}</p>}
      <DialogActions>
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" onClick={() => onSend({ operation: "delete", path: instance.path })}>
          {deed}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
